// Package vault keeps secrets for people who share them: vaults, who may do what in them, items with
// fields, and the record of who looked at what.
//
// # Access
//
//	view    see the vault, its items and their history; reveal and copy values
//	edit    and save, change and archive items
//	manage  and rename or delete the vault, and decide who has access
//
// Access is granted to a person or to a group, of which Team Members, to which everybody active belongs,
// is one; of several grants the highest counts. It is looked up at each call, in the transaction that needs
// it: whoever is removed, suspended, or taken out of a group has lost it with the next one. The grants of
// a suspended person stay for when she comes back.
//
// A vault that somebody may not see is to her as if it were not there. In one that she sees, what her
// access does not allow is refused, and leaves an audit entry. Names need not be unique: a name that was
// refused would tell of a vault that cannot be seen.
//
// The one who creates a vault and the Owners begin with a manage grant each. The last one whose grantee is
// somebody, a person who is there or a group with members, cannot be taken away. Removing a person is not
// held up by her grants: if she alone managed a vault, nobody does.
//
// # Items
//
// Each change of an item makes a version; earlier ones stay, and can be revealed. Who changes names the
// version that she saw, so that nobody overwrites what somebody else has just saved. An archived item is
// shown no more. A vault can be deleted once all its items are archived, and their versions go with it:
// nothing opens them any more. The usages stay.
//
// The fields of a version are sealed as one text, bound to account, vault, item and version: a row that
// is moved elsewhere does not open. Title, category and link are not secret, and are searched in the
// clear. Concealed values leave this package through [Service.Reveal] alone, after the usage and the
// audit entry have been committed.
//
// # Usages
//
// A usage says what was done with an item, in the words of the Events API's item usages. It is
// bookkeeping that is only ever added to; the audit log holds the same acts with proof.
package vault
