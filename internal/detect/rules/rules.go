package rules

import (
	"embed"
	"io/fs"
)

//go:embed *.yml
var files embed.FS

// FS is the rule pack, one file per rule or per group of rules that belong together.
func FS() fs.FS { return files }
