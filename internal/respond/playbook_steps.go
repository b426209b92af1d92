package respond

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"holdfast/internal/detect"
)

// stepList reads the steps of do or on_release.
func (r *playbookReader) stepList(v *yaml.Node, what string) []Step {
	switch {
	case v.Kind != yaml.SequenceNode:
		r.Bad(v, "%s must be a list of steps, such as - suspend: {for: 24h, release: if_quiet}", what)
		return nil
	case len(v.Content) == 0:
		r.Bad(v, "%s is empty; write at least one step", what)
	case len(v.Content) > maxSteps:
		r.Bad(v, "%s has %d steps, %d are allowed", what, len(v.Content), maxSteps)
		return nil
	}
	all := make([]Step, 0, len(v.Content)) // so that a step stays where it is
	for _, n := range v.Content {
		all = append(all, Step{})
		s := &all[len(all)-1]
		r.steps[s] = n
		r.step(n, s)
	}
	return all
}

// step reads a mapping with one key, the kind.
func (r *playbookReader) step(n *yaml.Node, s *Step) {
	known := map[StepKind]func(*yaml.Node, *Step){
		StepSuspend: r.suspend, StepEndSessions: r.endSessions, StepAskPerson: r.askPerson,
		StepNotify: r.notify, StepSignal: r.signal, StepCase: r.caseStep,
	}
	names := slices.Sorted(maps.Keys(known))
	if n.Kind == yaml.MappingNode && len(n.Content) != 2 {
		r.Bad(n, "a step has one key, what it does; this one has %d; put each into an entry of its own", len(n.Content)/2)
		return
	}
	r.Keys(n, "a step", func(name string, k, v *yaml.Node) {
		read := known[StepKind(name)]
		if read == nil {
			r.Bad(k, "unknown step %s%s; known are %s", detect.Shown(name), detect.Meant(name, words(names)), strings.Join(words(names), ", "))
			return
		}
		s.Kind = StepKind(name)
		read(v, s)
	})
}

func (r *playbookReader) suspend(v *yaml.Node, s *Step) {
	s.Targets, s.Release = []string{LocalTarget}, ReleaseNever
	if empty(v) {
		return
	}
	at := r.read(v, "suspend", readers{
		"for": func(v *yaml.Node) { s.For = r.span(v, "suspend.for", time.Minute, 90*24*time.Hour) },
		"release": func(v *yaml.Node) {
			s.Release = Release(r.OneOf(v, "suspend.release", words([]Release{ReleaseIfQuiet, ReleaseAlways, ReleaseNever})))
		},
		"targets": func(v *yaml.Node) {
			s.Targets = r.Texts(v, "suspend.targets", func(n *yaml.Node, name string) {
				if name != LocalTarget {
					r.outside("target", n, name)
				}
			})
			if v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
				r.Bad(v, "suspend.targets is empty; name targets, or leave it out: then it is the account itself (%s)", LocalTarget)
			}
		},
	})
	switch {
	case s.Release == ReleaseNever && at["for"] != nil:
		r.Bad(at["for"], "suspend has an end and nothing that happens then; write release: if_quiet or release: always, or leave for out")
	case s.Release != ReleaseNever && s.Release != "" && at["for"] == nil:
		r.Bad(at["release"], "suspend.release is %s, and there is no for: after how long?", s.Release)
	}
}

func (r *playbookReader) endSessions(v *yaml.Node, _ *Step) {
	if !empty(v) {
		r.Bad(v, "end_sessions has no settings; write end_sessions: {}")
	}
}

func (r *playbookReader) askPerson(v *yaml.Node, s *Step) {
	s.OnConfirm, s.OnDeny, s.OnSilence = AnswerRelease, AnswerKeep, AnswerKeep
	answer := func(into *Answer, what string) func(v *yaml.Node) {
		return func(v *yaml.Node) {
			*into = Answer(r.OneOf(v, what, words([]Answer{AnswerRelease, AnswerKeep})))
		}
	}
	at := r.read(v, "ask_person", readers{
		"within":     func(v *yaml.Node) { s.Within = r.span(v, "ask_person.within", time.Minute, 7*24*time.Hour) },
		"on_confirm": answer(&s.OnConfirm, "ask_person.on_confirm"),
		"on_deny":    answer(&s.OnDeny, "ask_person.on_deny"),
		"on_silence": answer(&s.OnSilence, "ask_person.on_silence"),
	}, "within")
	switch {
	case s.OnDeny == AnswerRelease:
		r.Bad(at["on_deny"], "on_deny is release: whoever says that it was somebody else would be left to them")
	case s.OnConfirm == AnswerKeep && s.OnSilence == AnswerKeep:
		r.Bad(v, "every answer means keep; leave the question out")
	case s.OnConfirm == AnswerKeep && s.OnSilence == AnswerRelease:
		r.Bad(v, "silence would release, and a confirmation would not")
	}
}

func (r *playbookReader) notify(v *yaml.Node, s *Step) {
	r.read(v, "notify", readers{
		"to":       func(v *yaml.Node) { s.To = r.channels(v, "notify.to") },
		"template": func(v *yaml.Node) { s.Template = r.OneOf(v, "notify.template", playbookTemplates()) },
	}, "template")
}

// playbookTemplates are the templates that a playbook may name.
func playbookTemplates() []string {
	return slices.DeleteFunc(MessageTemplates(), func(name string) bool { return name == TemplateTest })
}

func (r *playbookReader) signal(v *yaml.Node, s *Step) {
	r.read(v, "signal", readers{"to": func(v *yaml.Node) { s.To = r.channels(v, "signal.to") }}, "to")
}

func (r *playbookReader) channels(v *yaml.Node, what string) []string {
	to := r.Texts(v, what, func(n *yaml.Node, name string) { r.outside("channel", n, name) })
	if v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
		r.Bad(v, "%s is empty; name a channel, or leave it out: then the channels that take pages are told", what)
	}
	return to
}

func (r *playbookReader) caseStep(v *yaml.Node, s *Step) {
	at := r.read(v, "case", readers{
		"level":    func(v *yaml.Node) { s.Level = detect.Level(r.OneOf(v, "case.level", levelWords())) },
		"assignee": func(v *yaml.Node) { s.Assignee = r.YAML.Text(v, "case.assignee", maxWord) },
		"title":    func(v *yaml.Node) { s.Title = r.YAML.Text(v, "case.title", maxTitle) },
	})
	if v.Kind == yaml.MappingNode && len(at) == 0 {
		r.Bad(v, "case says nothing; a case is opened anyway, so write level, assignee or title, or leave the step out")
	}
}

// empty says whether a value is nothing, or {}.
func empty(v *yaml.Node) bool {
	return v.Kind == yaml.MappingNode && len(v.Content) == 0 || v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null"
}

// combinations refuses what is right piece by piece and makes no sense together.
func (r *playbookReader) combinations() {
	p, at := r.p, r.at
	r.order(p)
	acts := p.Has(StepSuspend) || p.Has(StepEndSessions)
	if a := p.Approval; a != nil {
		switch {
		case !acts:
			r.Bad(at["approval"], "approval has nothing to approve: no step does anything to the person")
		case a.Order == After && !p.Has(StepSuspend):
			r.Bad(at["approval"], "approval comes after, and nothing could be undone then: there is no suspend")
		case a.OnTimeout == TimeoutApprove && a.Needed > 1:
			r.Bad(at["approval"], "two people must approve, and silence would do as well; write on_timeout: deny or hold")
		}
	}
	if p.Mode == ModeEnforce && len(p.Do) > 0 && !acts && !p.Has(StepNotify) && !p.Has(StepSignal) {
		r.Bad(at["mode"], "the playbook is to be enforced, and no step does anything or tells anybody; a case is opened anyway")
	}
	if at["guard"] != nil && !p.Has(StepSuspend) && (p.Guard.MaxPeople > 0 || p.Guard.MaxShare > 0) {
		r.Bad(at["guard"], "guard limits how many people are suspended, and there is no suspend")
	}
	if at["on_release"] != nil && !p.Has(StepSuspend) {
		r.Bad(at["on_release"], "on_release says what follows when a suspension ends, and there is no suspend")
	}
	for i := range p.OnRelease {
		if s := &p.OnRelease[i]; s.Kind != "" && s.Kind != StepNotify && s.Kind != StepSignal && s.Kind != StepCase {
			r.Bad(r.steps[s], "%s in on_release; only notify, signal and case can follow a release", s.Kind)
		}
	}
}

// order checks each step of do against those before it.
func (r *playbookReader) order(p *Playbook) {
	targets := map[string]bool{}
	var hold, question *Step // the suspension of the account's own directory; what was asked
	for i := range p.Do {
		s := &p.Do[i]
		n := r.steps[s]
		before := p.Do[:i]
		earlier := func(kind StepKind) bool {
			return slices.ContainsFunc(before, func(b Step) bool { return b.Kind == kind })
		}
		switch s.Kind {
		case StepSuspend:
			for _, name := range s.Targets {
				if targets[name] {
					r.Bad(n, "suspend at %s stands there twice; one step per target, since each suspension has one end", name)
				}
				targets[name] = true
			}
			if slices.Contains(s.Targets, LocalTarget) {
				hold = s
			}
			if question != nil {
				r.Bad(n, "suspend stands behind ask_person; the answer is about the steps before it, so put suspend first")
			}
		case StepEndSessions:
			if earlier(StepEndSessions) {
				r.Bad(n, "end_sessions stands there twice")
			}
		case StepAskPerson:
			switch {
			case question != nil:
				r.Bad(n, "ask_person stands there twice; a person is asked once")
			case !earlier(StepSuspend) && !earlier(StepEndSessions):
				r.Bad(n, "ask_person without suspend or end_sessions before it: there is nothing that the answer could end")
			case !earlier(StepSuspend):
				r.Bad(n, "an answer releases, and nothing is suspended before; add suspend, or leave ask_person out")
			case hold != nil && hold.For > 0 && s.Within > hold.For:
				r.Bad(n, "the person has %s to answer, and the suspension ends after %s", spanText(s.Within), spanText(hold.For))
			}
			question = s
		}
	}
}
