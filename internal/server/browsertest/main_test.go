package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain puts pictures of failures, which many a test here wants to see, where they are in nobody's way.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "holdfast-browsertest-")
	if err == nil {
		err = os.Setenv(artifactsVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := Main(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// recorder is a test that is expected to fail: it keeps what is said to it.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	said     []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Error(args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprint(args...))
}

func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// failures runs a test and returns what it complains about.
func failures(t *testing.T, test func(t testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		test(r)
	}()
	<-done
	return r.said
}

const title = `<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>Test</title></head>`

// pages are what the tests look at.
var pages = map[string]string{
	"/form": title + `<body><main><h1>An application</h1>
		<form method="post" action="/made">
			<label>Application name <input name="name" required></label>
			<label>Description <textarea name="description">old</textarea></label>
			<label>Secret <input type="password" name="secret"></label>
			<label>Role <select name="role"><option value="m">Member</option><option value="o">Owner</option></select></label>
			<label>Until <input type="date" name="until"></label>
			<fieldset><legend>Scopes</legend>
				<label><input type="checkbox" name="scope" value="get"> Get user</label>
				<label><input type="checkbox" name="scope" value="list" checked> List users</label>
			</fieldset>
			<fieldset><legend>Colour</legend>
				<label><input type="radio" name="colour" value="red" checked> Red</label>
				<label><input type="radio" name="colour" value="blue"> Blue</label>
			</fieldset>
			<p hidden>invisible words <button>Generate credentials</button></p>
			<button>Generate credentials</button>
			<button type="button" disabled>Later</button>
			<button type="button">Twin</button><button type="button">Twin</button>
			<label for="id">Client ID</label> <output id="id">  abc
				def </output>
		</form></main>`,
	"/covered": title + `<body><button>Below</button>
		<div style="position:fixed;inset:0;background:white">above</div>`,
	"/dialog": title + `<body><main><h1>Dialog</h1><button id="open">Revoke</button><button>Behind</button>
		<dialog aria-labelledby="t"><h2 id="t">Revoke integration</h2><button id="close">Revoke</button></dialog></main>
		<script>
			const d = document.querySelector("dialog");
			open_ = () => d.showModal();
			document.getElementById("open").onclick = open_;
			document.getElementById("close").onclick = () => { d.close(); setTimeout(() => { document.querySelector("h1").textContent = "It is gone" }, 300) };
		</script>`,
	"/faulty":    title + `<body><main><h1>Faulty</h1><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p style="color:#ccc;background:#fff">pale</p></main>`,
	"/pale-dark": title + `<style>@media (prefers-color-scheme: dark) { p { color: #444; background: #333 } }</style><body><main><h1>Pale</h1><p>pale in the dark</p></main>`,
	"/more-dark": title + `<style>img { display: none } @media (prefers-color-scheme: dark) { img { display: inline } }</style>
		<body><main><h1>More</h1><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></main>`,
	"/inline":       title + `<body><p>policy</p><script>document.querySelector("p").textContent = "the script ran"</script>`,
	"/throws":       title + `<body><p>throws</p><script>setTimeout(() => nothing.here)</script>`,
	"/lacks-style":  title + `<body><link rel="stylesheet" href="/none.css"><p>lacks</p>`,
	"/lacks-script": title + `<body><p>lacks</p><script src="/none.js"></script>`,
	"/who": title + `<body><p id="p"></p><noscript>no scripts here</noscript><script>
		p.textContent = [navigator.language, innerWidth, matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"].join(" ")</script>`,
	"/keys": title + `<body><main><h1>Keys</h1><a href="/form">Form</a> <label>Name <input></label> <button onclick="document.querySelector('h1').textContent = 'Pressed'">Go</button></main>`,
	"/unsaved": title + `<body><main><button>Touch</button><a href="/form">Leave</a></main>
		<script>addEventListener("beforeunload", e => e.preventDefault())</script>`,
	"/many":   title + `<body><link rel="stylesheet" href="/style.css"><script src="/script.js"></script><p>many</p>`,
	"/export": title + `<body><a href="/audit.csv">Export</a>`,
	"/twice":  title + `<body><form method="post" action="/count"><button>Count</button></form>`,
	"/passkey": title + `<body><main><h1>Passkey</h1><button id="make">Make</button><button id="use">Use</button><output aria-label="Result"></output></main><script>
		const say = s => document.querySelector("output").textContent = s;
		const bytes = n => crypto.getRandomValues(new Uint8Array(n));
		const tried = f => async () => { try { say(await f()) } catch (e) { say(e.name) } };
		make.onclick = tried(async () => {
			const c = await navigator.credentials.create({publicKey: {rp: {name: "Test"}, user: {id: bytes(16), name: "mira", displayName: "Mira"}, challenge: bytes(32),
				pubKeyCredParams: [{type: "public-key", alg: -7}], timeout: 5000, authenticatorSelection: {residentKey: "required", userVerification: "required"}}});
			return "made " + c.type;
		});
		use.onclick = tried(async () => {
			const c = await navigator.credentials.get({publicKey: {challenge: bytes(32), timeout: 5000, userVerification: "required"}});
			return "used with flags " + new Uint8Array(c.response.authenticatorData)[32];
		});
	</script>`,
}

// site serves the pages on localhost.
func site(t testing.TB) string {
	var count int
	var mu sync.Mutex
	mux := http.NewServeMux()
	for path, body := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if path == "/inline" {
				w.Header().Set("Content-Security-Policy", "default-src 'none'")
			}
			fmt.Fprint(w, body)
		})
	}
	mux.HandleFunc("POST /made", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(200 * time.Millisecond)
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "%s<body><main><h1>Made</h1><p>%s</p></main>", title, r.PostForm.Encode())
	})
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		count++
		mu.Unlock()
		time.Sleep(300 * time.Millisecond)
		http.Redirect(w, r, "/counted", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /counted", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "counted %d", count)
	})
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if c, err := r.Cookie("__Host-session"); err == nil {
			fmt.Fprintf(w, "hello again, %s", c.Value)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "one", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		fmt.Fprint(w, "hello")
	})
	mux.HandleFunc("GET /language", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Accept-Language"), " ", r.UserAgent())
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, strings.Repeat("p { color: black }\n", 500))
	})
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, "fetch('/language')")
	})
	mux.HandleFunc("GET /audit.csv", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="audit.csv"`)
		fmt.Fprint(w, "a,b\n")
	})
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/form", http.StatusFound) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return Localhost(srv.URL)
}
