package audit

// Action is the stable name of something that can be done.
type Action string

// The actions. testdata/actions.txt holds the same list; a name may be added, never renamed or reused.
const (
	AccountCreate Action = "account.create"
	AccountUpdate Action = "account.update"

	UserAdd        Action = "user.add"
	UserImport     Action = "user.import"
	UserInvite     Action = "user.invite"
	UserSetupLink  Action = "user.setup_link" // a new link to set up signing in; the earlier ones are void
	UserRemove     Action = "user.remove"
	UserSuspend    Action = "user.suspend"
	UserReactivate Action = "user.reactivate"
	HoldRelease    Action = "hold.release" // one hold, by a person or because its time was over

	GroupCreate       Action = "group.create"
	GroupUpdate       Action = "group.update"
	GroupDelete       Action = "group.delete"
	GroupMemberAdd    Action = "group.member_add"
	GroupMemberRemove Action = "group.member_remove"

	AppCreate       Action = "app.create"
	AppUpdate       Action = "app.update"
	AppRotateSecret Action = "app.rotate_secret"
	AppRevoke       Action = "app.revoke"

	TokenIssue      Action = "token.issue"
	TokenRevoke     Action = "token.revoke"
	TokenIntrospect Action = "token.introspect"

	EventsTokenCreate Action = "events_token.create"
	EventsTokenRevoke Action = "events_token.revoke"
	EventsKeyRotate   Action = "events_key.rotate" // a new key signs events tokens

	FirewallAdd    Action = "firewall.add"
	FirewallUpdate Action = "firewall.update"
	FirewallRemove Action = "firewall.remove"
	FirewallOrder  Action = "firewall.order" // which rule is looked at first

	SourceAdd    Action = "source.add"
	SourceUpdate Action = "source.update" // also a name by which it calls a person
	SourceRemove Action = "source.remove"
	SourcePause  Action = "source.pause"  // by a person, or because its token is not accepted
	SourceRotate Action = "source.rotate" // a new secret, or another token

	RuleSave     Action = "rule.save"     // a detection rule of the account's own
	RuleRemove   Action = "rule.remove"   // … is there no more
	RuleSet      Action = "rule.set"      // a rule is switched on or off, or set otherwise than it is written
	RuleExcept   Action = "rule.except"   // an exception is made
	RuleUnexcept Action = "rule.unexcept" // … and taken back
	ListSave     Action = "list.save"     // a list that detection rules name
	ListRemove   Action = "list.remove"

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

	SessionBegin   Action = "session.begin"
	SessionConfirm Action = "session.confirm" // a fresh authentication within it
	SessionEnd     Action = "session.end"
	SignInFail     Action = "sign_in.fail"
	SignInImport   Action = "sign_in.import" // attempts that happened elsewhere, or are made up
	SignInExport   Action = "sign_in.export" // attempts as a file
	SignInSetUp    Action = "sign_in.set_up" // with a one-time link

	PasskeyAdd       Action = "passkey.add"
	PasskeyRename    Action = "passkey.rename"
	PasskeyRemove    Action = "passkey.remove"
	PasswordSet      Action = "password.set"
	PasswordRemove   Action = "password.remove"
	TOTPSet          Action = "totp.set"
	TOTPRemove       Action = "totp.remove"
	RecoveryCodesSet Action = "recovery_codes.set"
	PolicySet        Action = "policy.set" // how people of the account may sign in

	FindingJudge Action = "finding.judge" // a person says whether a finding is harmless

	CaseOpen   Action = "case.open"
	CaseClose  Action = "case.close"
	CaseUpdate Action = "case.update" // given to somebody, commented on, or its hold is kept
	CaseAct    Action = "case.act"    // what a person does from a case, and what is done at a target
	CaseAnswer Action = "case.answer" // whom it is about has answered, or has not in time
	CaseUndo   Action = "case.undo"
	RunHold    Action = "run.hold" // a guard rail holds a playbook back until a person says so

	ApprovalAsk     Action = "approval.ask"
	ApprovalApprove Action = "approval.approve"
	ApprovalDeny    Action = "approval.deny"
	ApprovalExpire  Action = "approval.expire"

	GuardSet    Action = "guard.set"
	GuardKill   Action = "guard.kill" // playbooks begin nothing any more
	GuardResume Action = "guard.resume"

	PlaybookSave   Action = "playbook.save"
	PlaybookRemove Action = "playbook.remove"

	TargetAdd    Action = "target.add"
	TargetUpdate Action = "target.update"
	TargetRemove Action = "target.remove"

	ChannelAdd    Action = "channel.add"
	ChannelUpdate Action = "channel.update"
	ChannelRemove Action = "channel.remove"
)
