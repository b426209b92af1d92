package respond

import "holdfast/internal/detect"

// levelName is the level as people read it.
func levelName(l detect.Level, language string) string {
	en, de := "", ""
	switch l {
	case detect.Informational:
		en, de = "informational", "zur Kenntnis"
	case detect.Low:
		en, de = "low", "niedrig"
	case detect.Medium:
		en, de = "medium", "mittel"
	case detect.High:
		en, de = "high", "hoch"
	case detect.Critical:
		en, de = "critical", "kritisch"
	}
	if language == "de" {
		return de
	}
	return en
}
