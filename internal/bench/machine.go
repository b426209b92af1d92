package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where it was measured. What cannot be found out is left empty.
type Machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	CPU        string `json:"cpu,omitzero"`
	Cores      int    `json:"cores"`
	MemoryMB   int64  `json:"memory_mb,omitzero"`
	Filesystem string `json:"filesystem,omitzero"` // of the folder with the data
	Go         string `json:"go"`
	Holdfast   string `json:"holdfast"`
	Database   string `json:"database"`
	People     int    `json:"people"`
	Events     int    `json:"events,omitzero"`
	Conns      int    `json:"connections"`
	Servers    int    `json:"servers,omitzero"`
	Procs      int    `json:"gomaxprocs,omitzero"`
	Load       string `json:"load,omitzero"` // averages of 1, 5 and 15 minutes when it began
}

// String is the machine in two lines.
func (m Machine) String() string {
	hardware := fmt.Sprintf("%d cores", m.Cores)
	if m.CPU != "" {
		hardware += " " + m.CPU
	}
	if m.MemoryMB > 0 {
		hardware += fmt.Sprintf(", %d MB memory", m.MemoryMB)
	}
	if m.Filesystem != "" {
		hardware += ", data on " + m.Filesystem
	}
	size := figure(float64(m.People)) + " people"
	if m.Events > 0 {
		size += ", " + figure(float64(m.Events)) + " events"
	}
	text := fmt.Sprintf("%s/%s, %s\n%s, %s, %s, %s, %d connections",
		m.OS, m.Arch, hardware, m.Holdfast, m.Go, m.Database, size, m.Conns)
	if m.Servers > 0 {
		text += fmt.Sprintf(", %d servers", m.Servers)
	}
	if m.Procs > 0 {
		text += fmt.Sprintf(", GOMAXPROCS %d", m.Procs)
	}
	if m.Load != "" {
		text += ", load " + m.Load
	}
	return text
}

// loadAverage is how many processes wanted to run, on average over the last 1, 5 and 15 minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 3 {
		return strings.Join(fields[:3], " ")
	}
	return ""
}

// machine looks around.
func (o Options) machine() Machine {
	m := Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(),
		Holdfast: "holdfast " + o.Version, Database: "sqlite", People: o.People, Conns: connections,
		CPU: procField("/proc/cpuinfo", "model name"), Filesystem: filesystem(o.Dir),
	}
	if o.postgres() {
		m.Database = "postgres"
	}
	if kb, ok := kilobytes(procField("/proc/meminfo", "MemTotal")); ok {
		m.MemoryMB = kb / 1024
	}
	return m
}

// procField is the first value of a field in a file of lines "name: value"; empty where there is none.
func procField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes reads "1234 kB".
func kilobytes(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	return n, err == nil
}

// filesystem is the type of file system that holds the folder, as Linux names it.
func filesystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	longest, kind := "", ""
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line) // device, mount point, type, …
		if len(fields) < 3 || len(fields[1]) < len(longest) {
			continue
		}
		if rel, err := filepath.Rel(fields[1], dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			longest, kind = fields[1], fields[2]
		}
	}
	return kind
}

// memory is the largest anonymous memory that a process was seen with, in MB. What is mapped from the
// database file is not counted: the system takes it back when it likes.
type memory struct{ largest float64 }

func (m *memory) look(pid int) {
	if kb, ok := kilobytes(procField(fmt.Sprintf("/proc/%d/status", pid), "RssAnon")); ok {
		m.largest = max(m.largest, float64(kb)/1024)
	}
}
