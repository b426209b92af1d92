package respond

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// pass, stop, hold and ask make a check; facts are names and values in turn, and those without a value are left out.
func pass(name CheckName, code string, facts ...string) Check { return check(name, Pass, code, facts) }
func stop(name CheckName, code string, facts ...string) Check { return check(name, Stop, code, facts) }
func hold(name CheckName, code string, facts ...string) Check { return check(name, Hold, code, facts) }
func ask(name CheckName, code string, facts ...string) Check  { return check(name, Ask, code, facts) }

func check(name CheckName, v Verdict, code string, facts []string) Check {
	c := Check{Name: name, Verdict: v, Code: code}
	for pair := range slices.Chunk(facts, 2) {
		if pair[1] == "" {
			continue
		}
		if c.Facts == nil {
			c.Facts = map[string]string{}
		}
		c.Facts[pair[0]] = pair[1]
	}
	return c
}

// CheckCode is one way in which a check can end. Codes are stored, so they never change their meaning.
type CheckCode struct {
	Name     CheckName
	Verdict  Verdict
	Code     string
	Sentence string // in English; {fact} is replaced by the fact of that name
	German   string
}

// CheckCodes are all ways in which checks end, in the order in which checks are made.
func CheckCodes() []CheckCode {
	return []CheckCode{
		{CheckKill, Pass, "off", "The kill switch is off.",
			"Der Notschalter ist aus."},
		{CheckKill, Pass, "on_messages_only", "The kill switch is on, and messages go out all the same: {reason}",
			"Der Notschalter ist an, Nachrichten gehen trotzdem hinaus: {reason}"},
		{CheckKill, Hold, "on", "The kill switch is on ({door}, {by}): {reason}",
			"Der Notschalter ist an ({door}, {by}): {reason}"},

		{CheckMode, Pass, "enforce", "The playbook acts by itself.",
			"Das Playbook handelt selbst."},
		{CheckMode, Pass, "observe", "The playbook observes: everything is checked, and nothing is done.",
			"Das Playbook beobachtet: Alles wird geprüft, und nichts geschieht."},
		{CheckMode, Pass, "manual", "A person does this from the case.",
			"Eine Person tut das aus dem Fall heraus."},

		{CheckAge, Pass, "recent", "The event is {age} old; up to {limit} is recent enough.",
			"Das Ereignis ist {age} alt; bis {limit} ist es neu genug."},
		{CheckAge, Stop, "too_old", "The event is {age} old; what is older than {limit} is recorded and not acted on.",
			"Das Ereignis ist {age} alt; was älter als {limit} ist, wird festgehalten und führt zu nichts."},
		{CheckAge, Stop, "ahead", "The event says that it will happen in {age}; a clock is wrong, and nothing is done on its word.",
			"Das Ereignis soll erst in {age} geschehen; eine Uhr geht falsch, und auf ihr Wort geschieht nichts."},
		{CheckAge, Stop, "no_time", "It is not known when the event happened.",
			"Wann das Ereignis geschah, ist nicht bekannt."},

		{CheckTrust, Pass, "trusted", "The events come from where they say (trust {trust}, at least {least} is needed).",
			"Die Ereignisse kommen von dort, woher sie zu kommen sagen (Vertrauen {trust}, mindestens {least} ist nötig)."},
		{CheckTrust, Stop, "not_trusted", "It is not sure enough who sent the events (trust {trust}, at least {least} is needed).",
			"Von wem die Ereignisse kommen, ist nicht sicher genug (Vertrauen {trust}, mindestens {least} ist nötig)."},

		{CheckWhen, Pass, "none", "The playbook has no condition.",
			"Das Playbook hat keine Bedingung."},
		{CheckWhen, Pass, "holds", "The playbook's condition holds.",
			"Die Bedingung des Playbooks trifft zu."},
		{CheckWhen, Stop, "does_not_hold", "The playbook's condition does not hold.",
			"Die Bedingung des Playbooks trifft nicht zu."},
		{CheckWhen, Stop, "undecidable", "The playbook's condition cannot be decided, since {unknown} is not known.",
			"Die Bedingung des Playbooks ist nicht zu entscheiden, denn {unknown} ist nicht bekannt."},
		{CheckWhen, Stop, "failed", "The playbook's condition cannot be decided: {error}",
			"Die Bedingung des Playbooks ist nicht zu entscheiden: {error}"},

		{CheckDedupe, Pass, "none", "The playbook runs for each finding.",
			"Das Playbook läuft für jeden Befund."},
		{CheckDedupe, Pass, "first", "The playbook has not run for this key within {window}.",
			"Das Playbook ist innerhalb von {window} nicht für diesen Schlüssel gelaufen."},
		{CheckDedupe, Pass, "gone_on", "The run that was held goes on.",
			"Der angehaltene Lauf geht weiter."},
		{CheckDedupe, Stop, "again", "The playbook has run for this key at {last}, which is within {window}.",
			"Das Playbook ist um {last} für diesen Schlüssel gelaufen, also innerhalb von {window}."},
		{CheckDedupe, Stop, "no_key", "It cannot be said whether the playbook has run for the same before, since {unknown} is not known.",
			"Ob das Playbook dafür schon gelaufen ist, ist nicht zu sagen, denn {unknown} ist nicht bekannt."},

		{CheckProtected, Pass, "no_effect", "Nothing is done to a person.",
			"Mit der Person geschieht nichts."},
		{CheckProtected, Pass, "not_protected", "Neither the person nor a group of theirs is protected.",
			"Weder die Person noch eine ihrer Gruppen ist geschützt."},
		{CheckProtected, Stop, "no_person", "The finding is about nobody whom the directory knows.",
			"Der Befund betrifft niemanden, den das Verzeichnis kennt."},
		{CheckProtected, Stop, "not_active", "The person is not active in the directory.",
			"Die Person ist im Verzeichnis nicht aktiv."},
		{CheckProtected, Stop, "break_glass", "The person is there for emergencies and must always be able to get in.",
			"Die Person ist für Notfälle da und muss immer hineinkommen."},
		{CheckProtected, Stop, "last_owner", "Without the person the account would have no active owner.",
			"Ohne die Person hätte das Konto keinen aktiven Eigentümer."},
		{CheckProtected, Stop, "externally_managed", "The person is managed by another account and can be suspended only there.",
			"Die Person wird von einem anderen Konto verwaltet und kann nur dort gesperrt werden."},
		{CheckProtected, Stop, "person", "The person is protected: {why}",
			"Die Person ist geschützt: {why}"},
		{CheckProtected, Stop, "group", "The group {group} is protected: {why}",
			"Die Gruppe {group} ist geschützt: {why}"},
		{CheckProtected, Stop, "playbook_group", "The playbook leaves the group {group} alone.",
			"Das Playbook lässt die Gruppe {group} in Ruhe."},

		{CheckBlast, Pass, "no_suspension", "Nobody is suspended.",
			"Niemand wird gesperrt."},
		{CheckBlast, Pass, "already_held", "The case holds the person already; nothing is added to that, and its end stays as it is.",
			"Der Fall hält die Person bereits; dazu kommt nichts, und das Ende bleibt, wie es ist."},
		{CheckBlast, Pass, "within", "{used} of at most {limit} people were suspended within {window}, and cases hold {held} of at most {most} people ({share} % of {active}).",
			"{used} von höchstens {limit} Personen wurden innerhalb von {window} gesperrt, und Fälle halten {held} von höchstens {most} Personen ({share} % von {active})."},
		{CheckBlast, Hold, "over_window", "{used} people were suspended within {window}; at most {limit} may be. A person must decide.",
			"{used} Personen wurden innerhalb von {window} gesperrt; höchstens {limit} dürfen es sein. Eine Person muss entscheiden."},
		{CheckBlast, Hold, "over_playbook", "This playbook has suspended {used} people within {window}; at most {limit} may be. A person must decide.",
			"Dieses Playbook hat innerhalb von {window} {used} Personen gesperrt; höchstens {limit} dürfen es sein. Eine Person muss entscheiden."},
		{CheckBlast, Hold, "over_share", "Cases hold {held} people; at most {most} may be held ({share} % of {active}). A person must decide.",
			"Fälle halten {held} Personen; höchstens {most} dürfen gehalten werden ({share} % von {active}). Eine Person muss entscheiden."},

		{CheckApproval, Pass, "not_needed", "No approval is needed.",
			"Eine Zustimmung ist nicht nötig."},
		{CheckApproval, Ask, "before", "An approval is needed before anything is done: {needed} of {from}, within {timeout}.",
			"Bevor etwas geschieht, ist eine Zustimmung nötig: {needed} aus {from}, innerhalb von {timeout}."},
		{CheckApproval, Ask, "after", "It is done now, and undone if the approval is refused: {needed} of {from}, within {timeout}.",
			"Es geschieht jetzt und wird rückgängig gemacht, wenn die Zustimmung verweigert wird: {needed} aus {from}, innerhalb von {timeout}."},

		// What an action that begins is asked besides.
		{CheckWanted, Pass, "wanted", "The case still wants it.",
			"Der Fall will es noch."},
		{CheckWanted, Stop, "case_closed", "The case was closed before it began.",
			"Der Fall wurde geschlossen, bevor es begann."},
		{CheckWanted, Stop, "already_held", "A case holds the person there already.",
			"Ein Fall hält die Person dort bereits."},
	}
}

// CheckWanted is asked when an action begins: does the case still want it?
const CheckWanted CheckName = "still_wanted"

// overriddenFact is the fact that says why a person went beyond a check, which then passes with the code that it would
// have ended with.
const overriddenFact = "override"

// Sentence is what came of the check in English, on one line.
func (c Check) Sentence() string { return c.SentenceIn("en") }

// SentenceIn is the sentence in a language: de, or else English.
func (c Check) SentenceIn(language string) string {
	known := pick(CheckCodes(), func(x CheckCode) bool { return x.Name == c.Name && x.Code == c.Code })
	if known == nil {
		return strings.TrimSpace(string(c.Name) + " " + string(c.Verdict) + " " + c.Code) // of a later version
	}
	text, beyond := known.Sentence, " A person went beyond that: "
	if language == "de" {
		text, beyond = known.German, " Eine Person ging darüber hinaus: "
	}
	text = c.fill(text)
	if why := c.Facts[overriddenFact]; why != "" {
		text += beyond + why
	}
	return text
}

// fill puts facts into the sentence, once: a fact that looks like a name in braces stays as it is.
func (c Check) fill(sentence string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(sentence, "{")
		b.WriteString(before)
		if !ok {
			return strings.TrimSpace(b.String())
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(cmp.Or(c.Facts[name], "?"))
		sentence = after
	}
}

// overridden lets a person pass a check that would have stopped, or held. What was found stays in it.
func (c Check) overridden(why string) Check {
	facts := map[string]string{overriddenFact: why}
	maps.Copy(facts, c.Facts)
	c.Verdict, c.Facts = Pass, facts
	return c
}

// overridable says whether a person can go beyond what the check found.
func (c Check) overridable() bool {
	switch c.Name {
	case CheckAge:
		return true
	case CheckProtected:
		return c.Code == "person" || c.Code == "group" || c.Code == "playbook_group"
	case CheckBlast:
		return true
	}
	return false
}
