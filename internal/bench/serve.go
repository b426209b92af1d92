package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"

	"holdfast/internal/config"
)

// served is what a serving child is told.
type served struct {
	Database     string `json:"database"` // as in the configuration
	Dir          string `json:"dir"`      // data folder
	MmapSize     int64  `json:"mmap_size"`
	Log          string `json:"log"`         // file
	CPUProfile   string `json:"cpu_profile"` // file; empty for none
	AllocProfile string `json:"alloc_profile"`
}

// serving is a serving child's answer, once it can be reached.
type serving struct {
	URL string `json:"url"` // without a slash at the end
	PID int    `json:"pid"`
}

// Server is a Holdfast that was made and is not yet running.
type Server interface {
	URL() string
	Run(ctx context.Context) error
}

// ServeHoldfast is the child that serves Holdfast itself. The server is made by the caller, whose
// business it is to know how; it logs to the writer.
func ServeHoldfast(ctx context.Context, in io.Reader, out io.Writer, build func(context.Context, config.Config, io.Writer) (Server, error)) error {
	settings := json.NewDecoder(in)
	var s served
	if err := settings.Decode(&s); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	cfg, err := s.config()
	if err != nil {
		return err
	}
	log, err := os.Create(s.Log)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	ctx, cancel := untilInputEnds(ctx, in)
	defer cancel()
	server, err := build(ctx, cfg, log)
	if err != nil {
		return err
	}
	finish, err := s.profile()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(serving{server.URL(), os.Getpid()}); err != nil {
		return err
	}
	return errors.Join(server.Run(ctx), finish())
}

func (s served) config() (config.Config, error) {
	return config.Load(config.Options{Overrides: map[string]string{
		"data": s.Dir, "database": s.Database, "sqlite.mmap_size": fmt.Sprint(s.MmapSize),
		"listen.api": "127.0.0.1:0", "listen.ops": "off",
	}})
}

// profile begins to record where time and memory go, until finish is called.
func (s served) profile() (finish func() error, err error) {
	var cpu *os.File
	if s.CPUProfile != "" {
		if cpu, err = os.Create(s.CPUProfile); err != nil {
			return nil, fmt.Errorf("make profile: %w", err)
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(fmt.Errorf("start profile: %w", err), cpu.Close())
		}
	}
	return func() error {
		if cpu != nil {
			pprof.StopCPUProfile()
			if err := cpu.Close(); err != nil {
				return fmt.Errorf("write profile: %w", err)
			}
		}
		if s.AllocProfile == "" {
			return nil
		}
		runtime.GC() // the profile is as of the last collection
		f, err := os.Create(s.AllocProfile)
		if err != nil {
			return fmt.Errorf("make profile: %w", err)
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
	}, nil
}
