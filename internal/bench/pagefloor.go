package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// pageFloor is what a page of the console is measured against: net/http and html/template as they come,
// and data that is there already. It has no database, no session, no layout and no texts in two
// languages; what it does is to escape and write about as many bytes.
type pageFloor struct {
	url    string
	server *http.Server
	ended  chan error
	page   *template.Template
	row    int // bytes of one row
	bare   int // bytes of a page without any
	people atomic.Pointer[[]floorUser]
}

const floorTemplate = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>People</title><link rel="stylesheet" href="/static/style.css"></head>
<body><header><h1>People</h1></header><main><table><thead><tr><th>Name</th><th>State</th><th>Since</th></tr></thead><tbody>
{{range .}}<tr id="row-{{.ID}}"><td><a href="/people/{{.ID}}">{{.DisplayName}}</a><br><span class="small">{{.Email}}</span></td>
<td>{{if eq .State "ACTIVE"}}<span class="note note--good">Active</span>{{else}}<span class="note">Suspended</span>{{end}}</td><td>{{.CreateTime}}</td></tr>
{{end}}</tbody></table></main></body>
</html>
`

// floorPerson is in each row; an apostrophe and a hyphen give the escaping something to do.
func floorPerson() floorUser {
	return floorUser{ID: "MZXW6YTBOI2DGNBVGY3TQOJQME", Email: "person.0000001@" + emailDomain, DisplayName: "Ciara O'Sullivan-Raman", State: "ACTIVE", CreateTime: "2026-11-24T09:30:00Z"}
}

// startPageFloor serves a page without rows, until [pageFloor.serve] says how long it has to be.
func startPageFloor(ctx context.Context) (*pageFloor, error) {
	page, err := template.New("page").Parse(floorTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse floor: %w", err)
	}
	f := &pageFloor{page: page, ended: make(chan error, 1)}
	for _, part := range []struct {
		of     *int
		people []floorUser
	}{{&f.bare, nil}, {&f.row, []floorUser{floorPerson()}}} {
		text, err := f.render(part.people)
		if err != nil {
			return nil, err
		}
		*part.of = len(text)
	}
	f.row -= f.bare
	f.serve(f.bare)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	f.url, f.server = "http://"+l.Addr().String(), &http.Server{Handler: f}
	go func() { f.ended <- f.server.Serve(l) }()
	return f, nil
}

func (f *pageFloor) stop() error {
	err := f.server.Close()
	if ended := <-f.ended; !errors.Is(ended, http.ErrServerClosed) {
		return errors.Join(err, ended)
	}
	return err
}

// serve makes the page about so many bytes long, to within a row.
func (f *pageFloor) serve(size int) {
	rows := make([]floorUser, max(0, size-f.bare+f.row/2)/f.row)
	for i := range rows {
		rows[i] = floorPerson()
	}
	f.people.Store(&rows)
}

func (f *pageFloor) render(people []floorUser) ([]byte, error) {
	var buf bytes.Buffer
	if err := f.page.Execute(&buf, people); err != nil {
		return nil, fmt.Errorf("render floor: %w", err)
	}
	return buf.Bytes(), nil
}

func (f *pageFloor) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := f.render(*f.people.Load())
	if err != nil {
		fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client left; nothing to do
}
