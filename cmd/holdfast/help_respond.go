package main

// respondLessons are those of the commands about what is done: playbooks, cases, guard rails, targets, channels.
func respondLessons() map[string]lesson {
	return map[string]lesson{
		"playbook list": {`Each with its mode, what it is for, and what it does. Playbooks that Holdfast comes with are in observe until somebody enforces them.`,
			[]string{
				"holdfast playbook list",
				"holdfast playbook list --json",
			}},
		"playbook show": {`Shows the text that counts, and the mode.`,
			[]string{
				"holdfast playbook show mfa-fatigue",
				"holdfast playbook show mfa-fatigue --json",
			}},
		"playbook check": {`Reads playbooks strictly. What is wrong is said with file, line and column, all of it at once; the exit code is then 1. docs/response/playbooks.md describes the language, and docs/response/playbook.schema.json is for editors.`,
			[]string{
				"holdfast playbook check takeover.yml",
				"holdfast playbook check ./playbooks --json",
			}},
		"playbook test": {`Nothing is done and no account is looked at: a test says itself what is given. The exit code is 1 if one fails.`,
			[]string{
				"holdfast playbook test",
				"holdfast playbook test takeover.yml --json",
			}},
		"playbook save": {`Checks the text and runs its tests first. One of the same name takes its place, also one that Holdfast comes with. The server runs it from its next finding on.`,
			[]string{
				"holdfast playbook save takeover.yml --reason 'agreed with the works council'",
				"holdfast playbook save --new - < takeover.yml",
			}},
		"playbook mode": {`In observe all checks are made and stored, and nothing is done. A playbook that names targets or channels which are not set up cannot be enforced.`,
			[]string{
				"holdfast playbook mode mfa-fatigue enforce --reason 'rehearsed on a month'",
				"holdfast playbook mode insider off",
			}},
		"playbook remove": {`Only what the account has set is forgotten; of a playbook that Holdfast comes with, the text and mode that it came with count again.`,
			[]string{
				"holdfast playbook remove mfa-fatigue",
			}},
		"playbook rehearse": {`Takes the stored events of the account again, in their order and at their time, through rules, playbooks and guard rails, and says who would have been suspended, when, by what, and what stopped the others. Nothing is changed. With --accuracy it measures playbooks on events of which it is known what is an attack: wrong suspensions, takeovers contained, and how soon.`,
			[]string{
				"holdfast playbook rehearse",
				"holdfast playbook rehearse --from 7d --enforce mfa-fatigue,account-takeover",
				"holdfast playbook rehearse --draft takeover.yml --approve 10m --json",
				"holdfast playbook rehearse --accuracy synth:7:500:90 --json",
			}},
		"case list": {`A case is all findings about one person until it is closed.`,
			[]string{
				"holdfast case list",
				"holdfast case list --state pending",
				"holdfast case list --person mira@example.org --json",
			}},
		"case show": {`Shows findings, what each playbook's checks said, what was done, who answered, and the timeline.`,
			[]string{
				"holdfast case show 17",
				"holdfast case show 17 --json",
			}},
		"case approve": {`The answer is that of a person who is asked: of one of the groups, active, not suspended, and not whom it is about. The audit log also has who ran the command.`,
			[]string{
				"holdfast case approve 17 --as yuki@example.org --reason 'it was not her'",
			}},
		"case deny": {`One who denies is enough. What was done before the answer is undone.`,
			[]string{
				"holdfast case deny 17 --as yuki@example.org --reason 'she is travelling'",
			}},
		"case undo": {`Releases the person here at once, and elsewhere through the running server. Holds of others stay.`,
			[]string{
				"holdfast case undo 17 --reason 'it was her, on a new telephone'",
			}},
		"case close": {`A case that holds somebody is closed with --release only: nobody stays suspended without a case that says why. After a false alarm, habits are learned from its events.`,
			[]string{
				"holdfast case close 17 --resolution true_attack --note 'password reset, device wiped'",
				"holdfast case close 18 --resolution false_alarm --release",
			}},
		"guard show": {`The limits of what is done by itself, how much of them is used, and the kill switch.`,
			[]string{
				"holdfast guard show",
				"holdfast guard show --json",
			}},
		"guard set": {`What is not given stays as it is. A playbook can be stricter than that, never looser. The last owner and people whom an identity provider manages are protected whatever stands here.`,
			[]string{
				"holdfast guard set --max-people 5 --window 1h --max-share 2",
				"holdfast guard set --protect ceo@example.org --reason 'on a journey' --until 14d",
				"holdfast guard set --protect-group 'On call' --reason 'must be reachable'",
				"holdfast guard set --break-glass rescue@example.org",
			}},
		"guard kill": {`What has not begun does not begin; findings and cases go on, and what would be done is held for a person. A file KILL in the data folder does the same for all accounts of a server, without a database.`,
			[]string{
				"holdfast guard kill --reason 'a rule finds too much'",
			}},
		"guard resume": {`What was held meanwhile is gone on with from its case.`,
			[]string{
				"holdfast guard resume --reason 'the rule is off'",
			}},
		"target add": {`The secret is sealed and never shown again. Playbooks call the target by its name. docs/response/targets.md says what is sent.`,
			[]string{
				"holdfast target add branch --base-url https://holdfast.branch.example:8443 --target-account ABCDEFGHIJKLMNOPQRSTUVWXYZ --client-id 6f1c2d7e-94ab-4c61-b0de-52f3a8e91764 --secret-stdin < secret",
			}},
		"target list": {`Local, the account's own directory, is always there.`,
			[]string{
				"holdfast target list",
				"holdfast target list --json",
			}},
		"target test": {`Asks the target to list people, and about one who does not exist.`,
			[]string{
				"holdfast target test branch",
			}},
		"target remove": {`A target that playbooks still name is missing when they act.`,
			[]string{
				"holdfast target remove branch --reason 'sold'",
			}},
		"channel add": {`Secrets are sealed and never shown again, but for one that is made for a webhook. docs/response/notifications.md has the fields of each kind and the form of messages.`,
			[]string{
				"holdfast channel add email soc --host mail.example.org --username holdfast --from holdfast@example.org --to soc@example.org --pages --secret-stdin < password",
				"holdfast channel add slack incidents --secret-stdin < webhook",
				"holdfast channel add webhook siem --url https://siem.example.org/holdfast --json",
			}},
		"channel list": {`Channels that take pages also hear when somebody must look now.`,
			[]string{
				"holdfast channel list",
				"holdfast channel list --json",
			}},
		"channel test": {`Sends a message and says what the receiver answered.`,
			[]string{
				"holdfast channel test soc",
			}},
		"channel remove": {`Messages that wait for the channel are not sent.`,
			[]string{
				"holdfast channel remove soc",
			}},
	}
}
