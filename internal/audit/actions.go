package audit

// Action is the stable name of something that can be done.
type Action string

// The actions. testdata/actions.txt holds the same list; a name may be added, never renamed or reused.
const (
	AccountCreate Action = "account.create"

	UserAdd        Action = "user.add"
	UserImport     Action = "user.import"
	UserRemove     Action = "user.remove"
	UserSuspend    Action = "user.suspend"
	UserReactivate Action = "user.reactivate"
	HoldRelease    Action = "hold.release" // a timed hold ended by itself

	GroupCreate       Action = "group.create"
	GroupMemberAdd    Action = "group.member_add"
	GroupMemberRemove Action = "group.member_remove"

	AppCreate       Action = "app.create"
	AppRotateSecret Action = "app.rotate_secret"
	AppRevoke       Action = "app.revoke"

	TokenIssue      Action = "token.issue"
	TokenRevoke     Action = "token.revoke"
	TokenIntrospect Action = "token.introspect"

	AccessRefuse Action = "access.refuse" // a request without the credentials or the permission it needs

	AuditExport Action = "audit.export"
	KeyRotate   Action = "key.rotate"

	VaultCreate  Action = "vault.create"
	VaultUpdate  Action = "vault.update"
	VaultDelete  Action = "vault.delete"
	VaultGrant   Action = "vault.grant"
	VaultUngrant Action = "vault.ungrant"

	ItemCreate  Action = "item.create"
	ItemUpdate  Action = "item.update"
	ItemArchive Action = "item.archive"
	ItemReveal  Action = "item.reveal" // a value was shown
	ItemCopy    Action = "item.copy"   // a value was copied unseen
)
