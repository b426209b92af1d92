package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/origin"
)

// locations looks at the databases that say where an address is.
func (d *doctor) locations(ctx context.Context) {
	const name = "location data"
	dir := filepath.Join(d.cfg.Data, origin.Folder)
	db, err := origin.Open(dir, slog.New(slog.DiscardHandler), d.now) // what there is to say is in its Files
	if err != nil {
		d.say(name, broken, err.Error(), "it must be a folder that the user who runs the server can read")
		return
	}
	files := db.Files()
	if d.deep {
		files = db.Verify(ctx)
	}
	if len(files) == 0 {
		d.say(name, notThere, "no databases: events name no country, and rules about countries match nothing", "put files in the MMDB format, as for GeoLite2 or DB-IP Lite, into "+dir)
		return
	}
	// What is found is worth a line a file, and the worst one's advice.
	worst, advice := well, ""
	lines := make([]string, len(files))
	for i, f := range files {
		age := d.now().Sub(f.Built)
		switch {
		case f.Error != "":
			lines[i] = f.Name + " cannot be used: " + f.Error
			worst, advice = broken, "replace it by a whole copy, or take it out of "+dir
			continue
		case age > origin.MaxAge && worst != broken:
			worst, advice = warning, "renew it, best every week by a program such as geoipupdate; the server notices within a minute"
		}
		lines[i] = fmt.Sprintf("%s, %s, made %s", f.Name, f.Type, ago(age))
	}
	d.say(name, worst, strings.Join(lines, "\n"), advice)
}

// ago tells an age in days.
func ago(age time.Duration) string {
	switch days := int(age.Hours() / 24); {
	case days < 1:
		return "today"
	default:
		return plural(days, "day", "days") + " ago"
	}
}
