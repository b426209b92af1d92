// Package rules is the rule pack that Holdfast comes with, as files inside the program.
//
// The files are Sigma: what detect.Parse reads, and what other tools of that kind read as well. A rule
// here is about events in the normalised form, whatever source they are of, so its log source is
//
//	logsource: {product: holdfast, category: authentication, service: signin}
//	taxonomy: ocsf
//
// and its fields are the names of OCSF (docs/events/ocsf.md) and the features (docs/events/features.md).
// Each rule has a name, an id that never changes, a level, the techniques of MITRE ATT&CK as tags, and
// the sentence of its findings in both languages. What rules name as %NAME% is lists/NAME.txt, an entry a
// line, which an administrator replaces.
//
// What must never happen: a rule that does not compile for detect.FieldMaps; a rule of level high or
// critical that ordinary behaviour raises often, since playbooks act on those.
package rules
