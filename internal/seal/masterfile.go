package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxMasterFile, in bytes, is more than any master key file has.
const maxMasterFile = 4 << 10

func openMasterFile(path string, create, folder bool) (*Master, error) {
	m, err := readMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	if !create {
		return nil, fmt.Errorf("%s: %w", path, ErrNoMaster)
	}
	if folder {
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	if err := makeMaster(path); err != nil {
		return nil, fmt.Errorf("make master key: %w", err)
	}
	return readMaster(path) // what another process made at the same time, if it was first
}

func readMaster(path string) (*Master, error) {
	info, err := os.Stat(path) // before opening it, since a pipe would wait for its other end
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the master key %s is not a regular file; put the file that Holdfast made there", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil { // of what was opened, should the name have moved on
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the master key %s has the mode %04o, so others can use it; it must be 0600: chmod 600 %s, and if others may have read it, think of its secrets as known", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMasterFile))
	if err != nil {
		return nil, err
	}
	m, err := parseMaster(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not a master key: %w; restore it from your copy", path, err)
	}
	return m, nil
}

// makeMaster writes a new key beside its place and links it there, so that a crash leaves no half key
// and of two processes one wins. When it returns, a key is on the disk, perhaps that of the other.
func makeMaster(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".master-*") // made with O_EXCL and mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, masterLen)
	_, _ = rand.Read(key) // never fails, says its documentation
	_, err = io.WriteString(f, masterText(key))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; if this file system has no hard links, keep the key elsewhere: master_key: file:PATH or env:NAME", err)
	}
	return syncFolder(dir)
}

// makeFolder makes the folder and those above it, and brings each entry to the disk: a key that is lost
// with its folder takes the keyring of a database on another machine with it.
func makeFolder(dir string) error {
	var above []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = append(above, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncFolder(d); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder brings the entries of a folder to the disk, where the file system knows how.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // above the data folder we may write without being allowed to list
	}
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
