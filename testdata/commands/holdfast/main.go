// Command holdfast stands in for the product where the tests test how they run documents.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	args := os.Args[1:]
	switch {
	case slices.Contains(args, "fail"):
		os.Exit(3)
	case slices.Contains(args, "get"):
		get(args[len(args)-1])
	case slices.Contains(args, "serve"), slices.Contains(args, "demo"):
		os.Exit(serve(args))
	}
}

func get(url string) {
	res, err := http.Get(url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer res.Body.Close()
	if _, err := io.Copy(os.Stdout, res.Body); err != nil {
		os.Exit(1)
	}
}

func serve(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println("pid", os.Getpid())
	if slices.Contains(args, "--dies") {
		fmt.Println("cannot serve")
		return 1
	}
	address, name := "127.0.0.1:8080", "world" // the port of a reader; the tests replace it
	for i, a := range args[:len(args)-1] {
		switch a {
		case "--listen":
			address = args[i+1]
		case "--name":
			name = args[i+1]
		}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ready := http.StatusOK
	if slices.Contains(args, "--unready") {
		ready = http.StatusServiceUnavailable
	}
	http.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(ready) })
	http.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello", name) })
	go http.Serve(l, nil)
	<-ctx.Done()
	fmt.Println("served")
	if slices.Contains(args, "--ends-badly") {
		return 4
	}
	return 0
}
