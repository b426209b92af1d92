package rules

import (
	"embed"
	"io/fs"
)

//go:embed *.yml lists/*.txt
var files embed.FS

// FS is the rule pack: one file per rule or per group of rules that belong together, and the lists that
// they name in lists/NAME.txt.
func FS() fs.FS { return files }
