package main

import (
	"maps"
	"strings"

	"github.com/alecthomas/kong"
)

const introduction = `Holdfast suspends people when their sign-ins look wrong: by rules that explain themselves, within limits that cannot be exceeded, and with a way back.

Try it: holdfast demo`

const exitCodes = `Exit codes: 0 done, 1 failed, 2 wrong command line, 3 refused (by policy, or because it conflicts with what is there), 4 not found, 5 a verification found something broken, 130 interrupted.`

// lesson is what --help and docs/operations/cli.md say about a command beyond one line.
type lesson struct {
	text     string
	examples []string
}

// lessons are by the path of the command. A test holds that every command has one, and that each
// example is a command line that is understood.
func lessons() map[string]lesson {
	all := map[string]lesson{
		"serve": {`Listens on loopback unless the configuration says otherwise, makes the data folder, the master key and the database at the first start, and brings the tables of an older version up to date. On SIGINT or SIGTERM it finishes what it has accepted. The log goes to standard error.`,
			[]string{
				"holdfast serve",
				"holdfast serve --config /etc/holdfast/holdfast.yaml",
				"holdfast serve --print-example > holdfast.yaml",
				"holdfast serve --config holdfast.yaml --check-config",
			}},
		"demo": {`Makes a company of 50 people and an OAuth application with all four scopes, prints commands to try in a second terminal, and shows requests as they arrive. The data is removed at the end, unless --data names a folder for it. With --attack, somebody is asked for second factors until one is given, and one password is tried on many people; it prints what is found, which guard rails were passed, who was suspended, how the next attempts are answered, and when the suspensions end. With --json it also answers the question about an owner, ends by itself, and exits with 1 if the attack was not contained or anybody else was suspended.`,
			[]string{
				"holdfast demo",
				"holdfast demo --attack",
				"holdfast demo --attack --json --listen 127.0.0.1:0",
				"holdfast demo --listen 127.0.0.1:0 --json",
				"holdfast --data ./demo-data demo",
			}},
		"account create": {`An account is the unit of isolation: people, groups, applications and the audit log of one never meet those of another. It always has an active owner.`,
			[]string{
				"holdfast account create --name 'Harbour & Vale' --owner-email ines@example.org --owner-name 'Ines Marques'",
			}},
		"account list": {`With more than one account, the other commands want --account.`,
			[]string{
				"holdfast account list",
				"holdfast account list --json",
			}},
		"app create": {`An application gets the scopes it needs and no others: list_users, get_user, suspend_users, reactivate_users. Its secret is shown this once and stored as a hash; put it into a vault at once.`,
			[]string{
				"holdfast app create --name 'My platform' --scope list_users,get_user",
				"holdfast app create --name 'My platform' --scope suspend_users --scope reactivate_users --redirect-url https://soar.example.org/callback --json",
			}},
		"app list": {`Revoked applications are listed too, since the audit log names them.`,
			[]string{
				"holdfast app list",
				"holdfast app list --json",
			}},
		"app show": {`Shows scopes, secrets (when each was made and ends, never the secret itself) and last use.`,
			[]string{
				"holdfast app show 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
			}},
		"app rotate": {`For the time of --overlap both secrets work, so that a platform can be given the new one without a pause. There are at most two at a time. After a leak use --overlap 0s: the old secret and every token issued for it end at once.`,
			[]string{
				"holdfast app rotate 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
				"holdfast app rotate 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764 --overlap 1h --json",
				"holdfast app rotate 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764 --overlap 0s",
			}},
		"app revoke": {`When this has returned, no request that starts later succeeds with a secret or token of the application, on any server. It cannot be undone; make a new application instead.`,
			[]string{
				"holdfast app revoke 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
			}},
		"events-token create": {`The token is a JWT from which shippers read where to send their calls, and which kinds of events it is good for: signinattempts, itemusages, auditevents (default: all of them). It can change nothing. It is shown this once and stored as a hash; put it into a vault at once. Where to send calls is base_url of the configuration.`,
			[]string{
				"holdfast events-token create --name SIEM",
				"holdfast events-token create --name SIEM --feature signinattempts --feature auditevents --expires 180d",
				"holdfast events-token create --name SIEM --expires never --json",
			}},
		"events-token list": {`Tokens that were revoked or have expired are listed too, since the audit log names them.`,
			[]string{
				"holdfast events-token list",
				"holdfast events-token list --json",
			}},
		"events-token revoke": {`When this has returned, no request that starts later succeeds with the token, on any server. It cannot be undone; create a new token instead.`,
			[]string{
				"holdfast events-token revoke ABCDEFGHIJKLMNOPQRSTUVWXYZ --reason 'sent by mail'",
			}},
		"events-token rotate-key": {`Makes a new key, with which tokens are signed from now on. Tokens that were signed with earlier keys stay good, unless --revoke-tokens is given: then every token of every account is revoked, which is what to do if a key may be known to others.`,
			[]string{
				"holdfast events-token rotate-key",
				"holdfast events-token rotate-key --revoke-tokens",
			}},
		"source add": {`Sources of the kinds events-api and okta (with --base-url) are asked, with the token that standard input holds. To the others events are sent, signed with a secret that is shown this once; for okta without --base-url it is what an event hook sends as its Authorization header. The account's own feed is a source already. docs/events/intake.md tells how to send.`,
			[]string{
				"holdfast source add --kind events-api --name 'Company cloud' --base-url eu --token-stdin < token",
				"holdfast source add --kind events-api --name Branch --base-url https://holdfast.branch.example:8443 --ca-file branch.pem --since 72h --token-stdin < token",
				"holdfast source add --kind okta --name Okta --base-url https://harbour.okta.com --token-stdin < token",
				"holdfast source add --kind ocsf --name 'Data lake' --json",
			}},
		"source list": {`A source that has failed is asked again; one that is paused needs somebody.`,
			[]string{
				"holdfast source list",
				"holdfast source list --json",
			}},
		"source show": {`Shows how a source does: why the last try went wrong, how many events came, and how many of them are about nobody known. Its secret is never shown again.`,
			[]string{
				"holdfast source show ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			}},
		"source test": {`Asks once, from this machine. Nothing is stored.`,
			[]string{
				"holdfast source test ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			}},
		"source rotate": {`For a source that sends, a new secret is made and shown this once; the old one goes on for the overlap. For a source that is asked, the new token replaces the old one, and one that was paused because of its token is asked again.`,
			[]string{
				"holdfast source rotate ABCDEFGHIJKLMNOPQRSTUVWXYZ --overlap 1h",
				"holdfast source rotate ABCDEFGHIJKLMNOPQRSTUVWXYZ --token-stdin < token",
			}},
		"source pause": {`It is not asked any more, and what is sent is answered 409.`,
			[]string{
				"holdfast source pause ABCDEFGHIJKLMNOPQRSTUVWXYZ --reason 'noise during the migration'",
			}},
		"source resume": {`A source that is asked continues exactly where it was; what it has deleted meanwhile is lost.`,
			[]string{
				"holdfast source resume ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			}},
		"source remove": {`The secret is forgotten, and what is sent is refused from now on. Events that came stay as long as events are kept. It cannot be undone.`,
			[]string{
				"holdfast source remove ABCDEFGHIJKLMNOPQRSTUVWXYZ --reason 'the subsidiary was sold'",
			}},
		"source alias": {`The user of an event is recognised by ID, then by email, then by these names, letter case ignored. Events that came earlier keep the person whom they had. Without a name all are listed.`,
			[]string{
				"holdfast source alias",
				"holdfast source alias 'm.oduya' mira@example.org --format entra",
				"holdfast source alias 00u1a2b3 --remove",
			}},
		"user add": {`An email can be used once in an account, letter case ignored.`,
			[]string{
				"holdfast user add --email mira@example.org --name 'Mira Oduya' --group Security",
				"holdfast user add --email erik@example.org --name 'Erik Sandström' --externally-managed --json",
			}},
		"user import": {`The file is UTF-8 with a header and these columns in any order: email and display_name (or name) are required; groups (names separated by ;) and externally_managed (true or false) may be left out.

Every line is checked before anything happens, and each one that is refused is reported with its number and the reason. Nobody is imported if any line is refused, unless --skip-refused says to leave those lines out. An import is one transaction: it happens as a whole or not at all, also when it is interrupted. On SQLite, changes by others wait for it, or are told to try again after ten seconds.`,
			[]string{
				"holdfast user import people.csv --dry-run",
				"holdfast user import people.csv",
				"holdfast user import people.csv --skip-refused --report refused.csv",
				"holdfast user import - --json < people.csv",
			}},
		"user list": {`In the order of their ids, which never change. People who were removed are not listed.`,
			[]string{
				"holdfast user list",
				"holdfast user list --state suspended --json",
			}},
		"user show": {`Shows groups, and every hold: who suspended this person, why, since when, and how it ended.`,
			[]string{
				"holdfast user show mira@example.org",
				"holdfast user show K7QWZP3M5XNB2RTYDHCVFAEJ4U --json",
			}},
		"user suspend": {`Opens a hold: this person cannot sign in while any hold is open. The last active owner and people whom the identity provider manages are refused (exit code 3).`,
			[]string{
				"holdfast user suspend mira@example.org --reason 'password found in a leak'",
				"holdfast user suspend mira@example.org --reason 'laptop stolen' --for 24h --json",
			}},
		"user reactivate": {`Releases every hold, whoever opened it, except those of the identity provider: these are released there.`,
			[]string{
				"holdfast user reactivate mira@example.org --reason 'spoke to her on the phone'",
			}},
		"user link": {`For somebody who was added without a way to sign in, or has lost every way, a lone owner among them. Earlier links are void; what was set up before ends once the link is used. The output is a secret.`,
			[]string{
				"holdfast user link mira@example.org",
			}},
		"user remove": {`Ends the membership for good; the audit log goes on knowing the id. To stop somebody for now, suspend instead.`,
			[]string{
				"holdfast user remove mira@example.org --reason 'left the company'",
			}},
		"firewall list": {`The first rule that matches an attempt decides; what none matches is allowed. How often each would have decided about the attempts of the last 30 days is counted with the rules as they are now.`,
			[]string{
				"holdfast firewall list",
				"holdfast firewall list --json",
			}},
		"firewall add": {`Deny lets nobody in; report lets people in and records it as firewall_reported_success; allow lets people in and ends the search. Rules about places need location databases in the folder geoip. What would let nobody in at all is refused (exit code 3) without --force.`,
			[]string{
				"holdfast firewall add deny country RU --dry-run",
				"holdfast firewall add report anonymous --note 'VPNs are looked at'",
				"holdfast firewall add allow address 192.0.2.0/24 --position 1 --note 'the office'",
				"holdfast firewall add deny all",
			}},
		"firewall update": {`What is not given stays as it is; with another kind, give its value, too.`,
			[]string{
				"holdfast firewall update 2 --action deny",
				"holdfast firewall update 2 --kind continent --value SA --dry-run",
			}},
		"firewall move": {`The rules between move up or down by one.`,
			[]string{
				"holdfast firewall move 3 1",
			}},
		"firewall remove": {`For who locked everybody out, too: rules hold for sign-ins only, not for the command line of the server.`,
			[]string{
				"holdfast firewall remove 1",
			}},
		"group list": {`Owners, Administrators and Security are the roles that manage integrations; everybody belongs to Team Members.`,
			[]string{
				"holdfast group list",
				"holdfast group list --json",
			}},
		"group show": {`A group is named by its name, letter case ignored, or by its id.`,
			[]string{
				"holdfast group show Owners",
				"holdfast group show Security --json",
			}},
		"group create": {`A name can be used once in an account, letter case ignored.`,
			[]string{
				"holdfast group create Contractors",
			}},
		"group add": {`Nobody is added if one of the people is not found. Who is in the group already stays in it.`,
			[]string{
				"holdfast group add Owners tomas@example.org",
				"holdfast group add 'Night shift' mira@example.org yuki@example.org",
			}},
		"group remove": {`The last active owner cannot be taken out of Owners (exit code 3): make somebody else an owner first.`,
			[]string{
				"holdfast group remove Administrators tomas@example.org",
			}},
		"events tail": {`Shows what happens in an account, one line each, oldest first: time, result, who, what more closely, from where and with which program. It reads the database and works beside a running server, or without one. With --json each line is the event as version 2 of the Events API has it. Ctrl-C ends it.`,
			[]string{
				"holdfast events tail",
				"holdfast events tail --stream signinattempts --since 1h",
				"holdfast events tail --since 24h --no-follow --json > events.jsonl",
			}},
		"rule list": {`Shows the rules that Holdfast comes with, or those of a folder: Sigma rules and correlations of them. A folder may be edited at will; what is faulty in it is said and left out.`,
			[]string{
				"holdfast rule list",
				"holdfast rule list --rules ./rules --json",
				"holdfast rule list --rules pack --rules ./rules",
				"holdfast rule list --account ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			}},
		"rule show": {`Shows level, threshold and exceptions as the account has set them, and the text as it is written.`,
			[]string{
				"holdfast rule show spray_by_address",
				"holdfast rule show spray_by_address --json",
			}},
		"rule save": {`Stores a rule file for the account: one rule, or a correlation and the rules that it is made of. The name is that of its first rule that no other one of the file uses; a rule of that name is replaced. Names and IDs of other rules are refused. A rule with a fault is refused with all its faults. The server runs it within seconds.`,
			[]string{
				"holdfast rule save night.yml --reason 'asked for by the night shift'",
				"holdfast rule save - < night.yml",
			}},
		"rule remove": {`Only rules of the account's own can be removed; others are switched off with disable. Settings and exceptions of the rule go with it. rule history has its last text.`,
			[]string{
				"holdfast rule remove night_sign_in --reason 'nobody looked at it'",
			}},
		"rule enable": {`What happened while it was off is not looked at again.`,
			[]string{
				"holdfast rule enable slow_spray",
			}},
		"rule disable": {`A rule that is off finds nothing. Correlations that use it go on, and what is a part of the rule alone does not become a rule by itself.`,
			[]string{
				"holdfast rule disable slow_spray --reason 'the kiosk in the hall sets it off'",
			}},
		"rule tune": {`Sets a rule otherwise than it is written; what is not named stays. A rule on single events has a level only. The rule's window begins anew.`,
			[]string{
				"holdfast rule tune spray_by_address --threshold 20 --timespan 30m",
				"holdfast rule tune first_time_anonymous --level low --reason 'many of us use a VPN'",
				"holdfast rule tune spray_by_address --reset",
			}},
		"rule except add": {`An exception on a rule is about what that rule finds by itself. An exception on a correlation is about the events that enter it; other correlations of the same events are not touched. It ends by the time of events, so nobody has to take it back.`,
			[]string{
				"holdfast rule except add impossible_travel --field user.email_addr --value mira@example.org --until 30d --reason 'travels with two phones'",
				"holdfast rule except add spray_by_address --field src_endpoint.ip --value '%corp_egress%' --reason 'the office is one address'",
			}},
		"rule except list": {`Exceptions that are over are listed, too, until they are removed.`,
			[]string{
				"holdfast rule except list",
				"holdfast rule except list impossible_travel --json",
			}},
		"rule except remove": {`The rule finds such events again from now on.`,
			[]string{
				"holdfast rule except remove ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			}},
		"rule history": {`Each change has a revision; with --json, what it was before and after.`,
			[]string{
				"holdfast rule history",
				"holdfast rule history spray_by_address --json",
				"holdfast rule history --list corp_egress",
			}},
		"rule try": {`Runs the account's stored events through all its rules, in memory, with this one as it is, as the flags set it, or as the file has it, and prints what it finds. A rule that is off is tried as well. Nothing is changed.`,
			[]string{
				"holdfast rule try spray_by_address --threshold 8 --from 7d",
				"holdfast rule try --file night.yml --json",
			}},
		"rule-list list": {`Lists are named by rules and exceptions as %NAME%. Some come with Holdfast; an account can extend them, replace them, and make others.`,
			[]string{
				"holdfast rule-list list",
			}},
		"rule-list show": {`Shows the entries that count for the account, each with its end and its note.`,
			[]string{
				"holdfast rule-list show sanctioned",
			}},
		"rule-list set": {`The account's list takes the place of the one of this name that comes with Holdfast, or, with --extend, counts beside it.`,
			[]string{
				"holdfast rule-list set corp_egress 192.0.2.0/24 2001:db8::/32",
				"holdfast rule-list set contractors --file contractors.txt",
				"holdfast rule-list set sanctioned BY --extend",
			}},
		"rule-list add": {`A list that does not exist yet is made; one that comes with Holdfast is extended. An entry with an end stops to count by the time of events.`,
			[]string{
				"holdfast rule-list add corp_egress 198.51.100.0/24 --note 'office in Porto' --until 2027-01-31",
			}},
		"rule-list remove": {`Entries that come with Holdfast cannot be taken out one by one: write the list anew with set. A list that rules need stays (exit code 3).`,
			[]string{
				"holdfast rule-list remove corp_egress 198.51.100.0/24",
				"holdfast rule-list remove contractors",
			}},
		"rule check": {`Reads rules strictly: an unknown key, a search that is not used, a field that events do not have, a condition that always holds are faults, since such a rule would be silent where its author expects it to speak. The exit code is 1 if there is a fault. What is doubtful is said as well. docs/events/features.md lists what rules can ask for beyond the event.`,
			[]string{
				"holdfast rule check rules/spray.yml",
				"holdfast rule check ./rules --json",
			}},
		"rule test": {`Runs rules over a file of events, sorted by time, as a server would over the same events as they come: with what was learned from the earlier ones. Prints findings in order of time, each with the events that it is made of; the same file gives the same output. Lines that cannot be read are reported, and the exit code is 0 unless none could be read.

With --accuracy the events say what is an attack: lines in the form of 1Password with a member "truth": {"kind": "password spray", "attack": 1, "takeover": false}, and for what a location database knows a member "network": {"asn": 64500, "anonymous": false}. synth:SEED makes such a history up, for 500 people and 120 days unless it says otherwise. A takeover counts as found if a finding of level high or critical has the event with which the attacker got in or a later one, or was about that person alone before. A finding is right if one of its events is of an attack.`,
			[]string{
				"holdfast rule test --events signins.ndjson",
				"holdfast rule test --events - --format okta --rules ./rules --json < system-log.json",
				"holdfast rule test --accuracy synth:1",
				"holdfast rule test --accuracy synth:7:5000:365 --rules pack --rules ./rules --json",
			}},
		"audit verify": {`Reads every chain from the first entry to the head. If one was changed, removed, moved or added by something other than Holdfast, this says where, and the exit code is 5. An export can be verified anywhere, without keys or database: its entries among each other.`,
			[]string{
				"holdfast audit verify",
				"holdfast audit verify --json",
				"holdfast audit verify --file audit.jsonl",
			}},
		"audit export": {`The export itself becomes the last entry. To follow the log, continue after the last number that you have.`,
			[]string{
				"holdfast audit export > audit.jsonl",
				"holdfast audit export --after 1200",
				"holdfast audit export --system",
			}},
		"doctor": {`Looks at configuration, data folder, master key, database, audit log, jobs, clock, disk and addresses, and changes nothing. Each line is ok, a warning or a problem, with what to do; the exit code is 5 if there is a problem. --deep reads every audit entry instead of the newest ones.`,
			[]string{
				"holdfast doctor",
				"holdfast doctor --deep --json",
			}},
		"migrate": {`A server does this by itself when it starts. Make a copy before an upgrade: an older binary refuses the tables of a newer one.`,
			[]string{
				"holdfast migrate",
			}},
		"bench api": {`Runs for some minutes. Each row shows requests a second, and the ratio to a bare server that does the same with the same database.`,
			[]string{
				"holdfast bench api",
				"holdfast bench api --only get,suspend --json",
			}},
		"bench pages": {`Makes an account of a million people first, which takes a while.`,
			[]string{
				"holdfast bench pages",
			}},
		"bench console": {`Makes an account of 100,000 people, signs its owner in, and gets each page again and again on one connection. Each row shows within what time half of the requests were answered, and the ratio to a bare page of the same size that needs no database. A page that does not answer 200 ends the benchmark.`,
			[]string{
				"holdfast bench console",
				"holdfast bench console --only people,overview --json",
			}},
		"bench events": {`Makes a log of ten million sign-in attempts first, which takes long, and several gigabytes of the disk; --events makes it shorter. Then it reads pages of 1,000 on one connection: at the end and in the middle of the log, beside a log of 10,000, and from its beginning on, beside a bare server that reads the same rows. At last it shows how long a reader who waits for an attempt waits from the call that stores it until the answer is there. Where a row ends in "elsewhere", another process than the reader's server stores it. With --json there is an object with machine and rows; a row has name, value, unit, p99_ms and, where it is compared with something, floor and ratio.`,
			[]string{
				"holdfast bench events",
				"holdfast bench events --events 100000 --only 'feed,sign-in elsewhere' --json",
			}},
		"bench detect": {`Measures detection. Matching is told by processor time, so that the figure is that of one core on a busy machine, too; 1,000 rules are beside 50. The whole path is from the lines of a source to findings on the disk, beside a program that inserts the same rows in batches and does nothing else. The rest is the time from a sign-in to its finding in a server that has nothing else to do, and the memory that habits take.`,
			[]string{
				"holdfast bench detect",
				"holdfast bench detect --only 'whole path,attempt to finding' --json",
			}},
		"bench respond": {`Lets people sign in, each once, with a rule and a playbook that suspend whoever does, and measures until they are suspended and have no session. On SQLite one server does so, on PostgreSQL three on one database. In the second row the person is to be suspended in another Holdfast as well, which is 50 ms away.`,
			[]string{
				"holdfast bench respond",
				"holdfast bench respond --attempts 50 --json",
			}},
		"completion": {`Completes commands, flags and their values.`,
			[]string{
				"holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast",
				"holdfast completion zsh > ~/.zfunc/_holdfast",
				"holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
			}},
		"version": {`What to say when you report a problem.`,
			[]string{
				"holdfast version",
			}},
	}
	maps.Copy(all, respondLessons())
	return all
}

// teach puts the lessons into the model, which shows them with --help.
func teach(app *kong.Application) {
	all := lessons()
	app.Detail = exitCodes
	_ = kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if node, ok := n.(*kong.Node); ok {
			l := all[commandPath(node)]
			node.Detail = l.text
			if len(l.examples) > 0 {
				// Text that is indented stays as it is (go/doc/comment).
				node.Detail += "\n\nExamples:\n\n\t" + strings.Join(l.examples, "\n\t")
			}
		}
		return next(nil)
	})
}

// commandPath is the words that lead to the command, such as "user add".
func commandPath(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(commandPath(n.Parent) + " " + n.Name)
}
