package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/internal/origin"
	"holdfast/internal/origin/origintest"
)

func TestDoctorLocations(t *testing.T) {
	const city, day = origintest.CityFile, 24 * time.Hour
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		make   func(t *testing.T, dir string)
		want   status
		found  []string
		advice string
	}{
		"none":   {func(*testing.T, string) {}, notThere, []string{"rules about countries match nothing"}, "MMDB"},
		"empty":  {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "README"), "x") }, notThere, []string{"no databases"}, "MMDB"},
		"today":  {func(t *testing.T, dir string) { origintest.Write(t, dir, time.Now()) }, well, []string{city + ", GeoLite2-City, made today", origintest.ASNFile, origintest.AnonymousFile}, ""},
		"recent": {func(t *testing.T, dir string) { origintest.Write(t, dir, time.Now().Add(-44*day)) }, well, []string{city + ", GeoLite2-City, made 44 days ago"}, ""},
		"old":    {func(t *testing.T, dir string) { origintest.Write(t, dir, time.Now().Add(-46*day)) }, warning, []string{city + ", GeoLite2-City, made 46 days ago"}, "renew"},
		"broken": {func(t *testing.T, dir string) {
			origintest.Write(t, dir, time.Now().Add(-46*day))
			write(t, filepath.Join(dir, "a.mmdb"), "x")
		}, broken, []string{"a.mmdb cannot be used: it is no whole MMDB file", city + ", GeoLite2-City, made 46 days ago"}, "whole copy"},
		"no_folder": {func(t *testing.T, dir string) { write(t, dir, "x") }, broken, []string{"cannot be read", origin.Folder}, "folder"},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			tt.make(t, filepath.Join(data, origin.Folder))
			for _, deep := range []bool{false, true} {
				d := &doctor{g: &globals{}, std: stdio{env: []string{"HOLDFAST_DATA=" + data}}, now: time.Now, deep: deep}
				if !d.configuration() {
					t.Fatal(d.results)
				}
				d.locations(t.Context())
				got := d.results[len(d.results)-1]
				if got.Name != "location data" || got.Status != tt.want || (tt.advice == "") != (got.Advice == "") || !strings.Contains(got.Advice, tt.advice) {
					t.Errorf("deep %t: %+v, want %s and %q", deep, got, tt.want, tt.advice)
				}
				for _, want := range tt.found {
					if !strings.Contains(got.Found, want) {
						t.Errorf("deep %t: found %q, want %q in it", deep, got.Found, want)
					}
				}
			}
		})
	}
}
