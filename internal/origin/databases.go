package origin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Folder is the name of the folder, within the data folder.
const Folder = "geoip"

// MaxAge is how old a database may be before its answers are doubted: addresses change hands, and the
// makers publish every week or month.
const MaxAge = 45 * 24 * time.Hour

// The largest file that is read, and how many records of it are looked at to tell what it holds.
const (
	maxFile = 1 << 30
	sampled = 500
)

// Databases are the files of a folder. A nil *Databases knows nothing.
type Databases struct {
	dir string
	log *slog.Logger
	now func() time.Time

	reloading sync.Mutex // one Reload at a time; Locate never waits
	files     atomic.Pointer[[]*database]
}

// database is one file as it was read. It is not changed afterwards.
type database struct {
	name   string
	stamp  stamp
	reader *maxminddb.Reader // nil if the file never could be read
	form   form
	says   content
	err    error // why the file of this stamp cannot be used; reader is then that of the one before
}

// stamp tells whether a file changed.
type stamp struct {
	size    int64
	changed time.Time
}

// File is what is known about a file of the folder.
type File struct {
	Name  string    // without the folder
	Type  string    // as the file says: "GeoLite2-City"; empty if it cannot be read
	Built time.Time // when its maker made it; zero if it cannot be read
	Error string    // why it is not used; empty if it is
}

// Open reads every *.mmdb of the folder dir. A missing folder holds none, and a file that cannot be
// used is logged and left out; an error means that the folder cannot be looked at.
func Open(dir string, log *slog.Logger, now func() time.Time) (*Databases, error) {
	d := &Databases{dir: dir, log: log, now: now}
	d.files.Store(&[]*database{})
	return d, d.scan(func() error { return nil }) // a start waits for it
}

// Reload looks whether files came, went or changed, and reads those. It is cheap if none did. A file
// that was replaced by a broken one goes on answering as it was.
func (d *Databases) Reload(ctx context.Context) error {
	if d == nil {
		return nil
	}
	return d.scan(ctx.Err)
}

// scan reads what changed, unless stopped returns an error meanwhile.
func (d *Databases) scan(stopped func() error) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the location data cannot be read: %w", err)
	}
	before := map[string]*database{}
	for _, f := range *d.files.Load() {
		before[f.name] = f
	}
	files := []*database{}
	for _, e := range entries {
		if err := stopped(); err != nil {
			return err // the files stay as they were; the next scan begins again
		}
		if name := e.Name(); strings.EqualFold(filepath.Ext(name), ".mmdb") && !strings.HasPrefix(name, ".") {
			if f := d.file(name, before[name]); f != nil {
				files = append(files, f)
			}
			delete(before, name)
		}
	}
	for name := range before {
		d.log.Info("location data was removed", "file", name)
	}
	// The first answer counts: the more exact one before the other, the newer before the older.
	slices.SortFunc(files, func(a, b *database) int {
		return cmp.Or(cmp.Compare(b.says&saysCity, a.says&saysCity), b.built().Compare(a.built()), strings.Compare(a.name, b.name))
	})
	d.files.Store(&files)
	return nil
}

// file is the file as it is now: the one that was read before, if nothing changed; nil if it is gone.
func (d *Databases) file(name string, before *database) *database {
	f := &database{name: name}
	var err error
	if f.stamp, err = stampOf(filepath.Join(d.dir, name)); errors.Is(err, fs.ErrNotExist) {
		return nil // it went after the folder was listed
	}
	if before != nil && before.stamp == f.stamp && err == nil {
		return before
	}
	if err == nil {
		err = f.read(filepath.Join(d.dir, name))
	}
	if err != nil {
		if before != nil && before.err != nil && before.err.Error() == err.Error() {
			f.err = before.err // as it was, and logged then
		} else {
			f.err = err
			d.log.Error("location data cannot be used", "file", name, "error", err, "older_in_use", before != nil && before.reader != nil)
		}
		if before != nil {
			f.reader, f.form, f.says = before.reader, before.form, before.says
		}
		return f
	}
	d.log.Info("location data was read", "file", name, "type", f.reader.Metadata.DatabaseType, "built", f.built())
	if age := d.now().Sub(f.built()); age > MaxAge {
		d.log.Warn("location data is old", "file", name, "days", int(age.Hours()/24))
	}
	return f
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return stamp{}, err
	case !info.Mode().IsRegular():
		return stamp{}, errors.New("it is no file")
	case info.Size() > maxFile:
		return stamp{}, fmt.Errorf("it has %d bytes; a database may have %d", info.Size(), maxFile)
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

// read takes the whole file into memory. A mapping would be cheaper until somebody copies a new
// database over the old one: what is then mapped is neither, and beyond a shorter end the process dies.
func (f *database) read(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if int64(len(data)) != f.stamp.size {
		return errors.New("it is being written")
	}
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("it is no whole MMDB file: %w", err)
	}
	var sample []maxminddb.Result
	for result := range r.Networks() {
		var m map[string]any
		if err := result.Decode(&m); err != nil {
			return fmt.Errorf("it holds a broken record for %s: %w", result.Prefix(), err)
		}
		form, says := look(m)
		f.form, f.says = max(f.form, form), f.says|says
		if sample = append(sample, result); len(sample) == sampled {
			break
		}
	}
	if f.says == 0 {
		return fmt.Errorf("it is of type %q, and none of its first records has a country, a city, a network or an anonymous network", clean(r.Metadata.DatabaseType, maxName))
	}
	for _, result := range sample {
		if _, err := f.form.read(result); err != nil {
			return fmt.Errorf("it holds a record for %s that is laid out in a way of its own: %w", result.Prefix(), err)
		}
	}
	f.reader = r
	return nil
}

// built is when the maker made what answers now.
func (f *database) built() time.Time {
	if f.reader == nil {
		return time.Time{}
	}
	return f.reader.Metadata.BuildTime().UTC()
}

// Files are the databases of the folder, by name.
func (d *Databases) Files() []File { return d.list(func(*database) error { return nil }) }

// Verify is Files after every record of every file was read, which takes seconds. Files that were not
// read to the end when ctx was done have its error.
func (d *Databases) Verify(ctx context.Context) []File {
	return d.list(func(f *database) error { return f.verify(ctx) })
}

func (d *Databases) list(check func(*database) error) []File {
	if d == nil {
		return nil
	}
	var all []File
	for _, f := range *d.files.Load() {
		out, err := File{Name: f.name, Built: f.built()}, f.err
		if f.reader != nil {
			out.Type = clean(f.reader.Metadata.DatabaseType, maxName)
		}
		if err == nil {
			err = check(f)
		}
		if err != nil {
			out.Error = err.Error()
		}
		all = append(all, out)
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// verify reads all records, as Locate would. Reader.Verify also wants texts in the metadata that
// makers leave out.
func (f *database) verify(ctx context.Context) error {
	for result := range f.reader.Networks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := f.form.read(result); err != nil {
			return fmt.Errorf("it holds a broken record for %s: %w", result.Prefix(), err)
		}
	}
	return nil
}
