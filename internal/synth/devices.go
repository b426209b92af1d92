package synth

import (
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast/internal/origin"
)

// model is a kind of device with the browser that is used on it.
type model uint8

const (
	windowsChrome model = iota
	windowsEdge
	windowsFirefox
	macSafari
	macChrome
	linuxFirefox
	linuxChrome
	iphoneSafari
	androidChrome
	commandLine
)

// device is a browser on a machine. Its version follows the releases, some days late.
type device struct {
	model   model
	lag     int // days between a release and its update
	client  *origin.Client
	version int // of which client is made
	since   int // day from which it is a new device
	fresh   bool
}

// other is the second browser of who uses a model, or the command line.
func (m model) other() model {
	switch m {
	case windowsEdge, windowsFirefox:
		return windowsChrome
	case macSafari:
		return macChrome
	case linuxFirefox:
		return commandLine
	default:
		return m
	}
}

// releases are the newest versions on a day.
type releases struct {
	chrome, firefox int
	apple           int // year of Safari and iOS times 10, plus the minor version
}

// releasesOn counts versions up from real ones, at the pace of their makers: four weeks for Chrome and
// Firefox, a major version each September for Apple with a minor one every two months.
func releasesOn(at time.Time) releases {
	since := func(y int, m time.Month, d int) int {
		return max(0, int(at.Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)).Hours()/24))
	}
	year, months := at.Year(), int(at.Month())-int(time.September)
	if months < 0 {
		year, months = year-1, months+12
	}
	major := year - 2023 + 17
	if year >= 2025 {
		major = year - 2025 + 26 // Apple numbers by year from then on
	}
	return releases{
		chrome:  120 + since(2023, time.December, 5)/28,
		firefox: 120 + since(2023, time.November, 21)/28,
		apple:   major*10 + min(6, months/2),
	}
}

// on is the client of the device today; recent are the releases, of today and before.
func (d *device) on(today int, recent []releases) *origin.Client {
	r := recent[min(len(recent)-1, d.lag)]
	version := r.chrome
	switch d.model {
	case windowsFirefox, linuxFirefox:
		version = r.firefox
	case macSafari, iphoneSafari:
		version = r.apple
	case commandLine:
		version = 1
	}
	if d.client == nil || d.version != version {
		d.client, d.version = clientOf(d.model, version), version
	}
	if d.fresh && today > d.since+6 {
		d.fresh = false
	}
	return d.client
}

// clientOf is what a browser sends, and what is read out of it. Browsers freeze parts of it: Chrome all
// but its major version, macOS at 10.15.7, Android at 10.
func clientOf(m model, v int) *origin.Client {
	c := &origin.Client{App: "Holdfast console"}
	chrome := fmt.Sprintf("%d.0.0.0", v)
	apple := fmt.Sprintf("%d.%d", v/10, v%10)
	const kit = " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"
	switch m {
	case windowsChrome, windowsEdge:
		c.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + kit + chrome + " Safari/537.36"
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Chrome", chrome, "Windows", "10.0"
		if m == windowsEdge {
			c.UserAgent += " Edg/" + chrome
			c.Platform = "Edge"
		}
	case windowsFirefox:
		version := fmt.Sprintf("%d.0", v)
		c.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:" + version + ") Gecko/20100101 Firefox/" + version
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Firefox", version, "Windows", "10.0"
	case macSafari:
		c.UserAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/" + apple + " Safari/605.1.15"
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Safari", apple, "macOS", "10.15.7"
	case macChrome:
		c.UserAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)" + kit + chrome + " Safari/537.36"
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Chrome", chrome, "macOS", "10.15.7"
	case linuxFirefox:
		version := fmt.Sprintf("%d.0", v)
		c.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:" + version + ") Gecko/20100101 Firefox/" + version
		c.Platform, c.PlatformVersion, c.OS = "Firefox", version, "Linux"
	case linuxChrome:
		c.UserAgent = "Mozilla/5.0 (X11; Linux x86_64)" + kit + chrome + " Safari/537.36"
		c.Platform, c.PlatformVersion, c.OS = "Chrome", chrome, "Linux"
	case iphoneSafari:
		system := fmt.Sprintf("%d_%d", v/10, v%10)
		c.UserAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS " + system + " like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/" + apple + " Mobile/15E148 Safari/604.1"
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Safari", apple, "iOS", apple
	case androidChrome:
		c.UserAgent = "Mozilla/5.0 (Linux; Android 10; K)" + kit + chrome + " Mobile Safari/537.36"
		c.Platform, c.PlatformVersion, c.OS, c.OSVersion = "Chrome", chrome, "Android", "10"
	case commandLine:
		c.UserAgent = "holdfast/1 (cli)"
		c.App, c.Platform, c.PlatformVersion = "Holdfast CLI", "holdfast", "1"
	}
	return c
}

// tool is what attackers send when they do not care to look like a browser, or not like a recent one.
func tool(r *rand.Rand) *origin.Client {
	c := &origin.Client{App: "Holdfast console"}
	switch r.IntN(4) {
	case 0:
		c.UserAgent, c.Platform, c.PlatformVersion = "python-requests/2.31.0", "python-requests", "2.31.0"
	case 1:
		c.UserAgent, c.Platform, c.PlatformVersion = "Go-http-client/1.1", "Go-http-client", "1.1"
	case 2:
		c = clientOf(windowsChrome, 103+r.IntN(6))
	case 3:
		c.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36"
		c.Platform, c.PlatformVersion, c.OS = "Headless Chrome", "119.0.0.0", "Linux"
	}
	return c
}

// browser is an up-to-date browser as an attacker uses it to look like anybody.
func browser(r *rand.Rand, now releases) *origin.Client {
	switch r.IntN(4) {
	case 0:
		return clientOf(windowsFirefox, now.firefox)
	case 1:
		return clientOf(macChrome, now.chrome)
	default:
		return clientOf(windowsChrome, now.chrome)
	}
}
