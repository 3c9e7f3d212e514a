package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// An idle stream ends after the kubelet's own limit, which no test waits for.
var limits = streaming.DefaultConfig

func (p *pods) serve(mux *http.ServeMux) {
	for _, method := range []string{"GET", "POST"} {
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", p.serveExec)
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{container}", p.serveAttach)
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", p.servePortForward)
	}
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", p.serveLogs)
}

func (p *pods) of(r *http.Request) (container, error) {
	return p.container(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
}

func (p *pods) serveExec(w http.ResponseWriter, r *http.Request) {
	defer p.opened("exec", r)()
	found, err := p.of(r)
	options, bad := remotecommand.NewOptions(r)
	cmd := r.URL.Query()["command"]
	if err != nil || bad != nil || len(cmd) == 0 {
		http.Error(w, "no container, no stream or no command", http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, found, "", "", "", cmd, options,
		limits.StreamIdleTimeout, limits.StreamCreationTimeout, limits.SupportedRemoteCommandProtocols)
}

func (p *pods) serveAttach(w http.ResponseWriter, r *http.Request) {
	defer p.opened("attach", r)()
	found, err := p.of(r)
	options, bad := remotecommand.NewOptions(r)
	if err != nil || bad != nil {
		http.Error(w, "no container or no stream", http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, found, "", "", "", options,
		limits.StreamIdleTimeout, limits.StreamCreationTimeout, limits.SupportedRemoteCommandProtocols)
}

func (p *pods) servePortForward(w http.ResponseWriter, r *http.Request) {
	defer p.opened("portforward", r)()
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, p, r.PathValue("pod"), "", options,
		limits.StreamIdleTimeout, limits.StreamCreationTimeout, limits.SupportedPortForwardProtocols)
}

// serveLogs knows follow and tailLines; timestamps and the like are left out.
func (p *pods) serveLogs(w http.ResponseWriter, r *http.Request) {
	defer p.opened("logs", r)()
	found, err := p.of(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	offset := int64(0)
	if lines, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil {
		offset = found.lastLines(lines)
	}
	out := flushing{w, http.NewResponseController(w)}
	if r.URL.Query().Get("follow") == "true" {
		_ = out.Flush()
		_, _ = found.follow(out, offset, r.Context().Done())
		return
	}
	_, _ = found.copyFrom(out, offset)
}

// serveOpen answers with how many streams are open of each kind and pod.
func (p *pods) serveOpen(w http.ResponseWriter, _ *http.Request) {
	p.lock.Lock()
	defer p.lock.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.open)
}

// lastLines is where the last lines of the log begin.
func (c container) lastLines(lines int) int64 {
	log, err := os.ReadFile(c.log)
	if err != nil {
		return 0
	}
	at := len(log)
	for ; at > 0; at-- {
		if at < len(log) && log[at-1] == '\n' {
			lines--
		}
		if lines <= 0 {
			break
		}
	}
	return int64(at)
}

// flushing sends each line of a log as soon as it is written.
type flushing struct {
	io.Writer
	*http.ResponseController
}

func (f flushing) Write(bytes []byte) (int, error) {
	written, err := f.Writer.Write(bytes)
	if err == nil {
		err = f.Flush()
	}
	return written, err
}

// ExecInContainer implements remotecommand.Executor.
func (c container) ExecInContainer(_ context.Context, _, _, _ string, cmd []string, in io.Reader, out, err io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return c.run(cmd, in, out, err, tty, sizes)
}

// AttachContainer implements remotecommand.Attacher: the main process writes to its log what it
// reads, and whoever is attached sees the log grow. The end of stdin ends this, not the process.
func (c container) AttachContainer(_ context.Context, _, _, _ string, in io.Reader, out, _ io.WriteCloser, _ bool, sizes <-chan remotecommand.TerminalSize) error {
	log, err := os.OpenFile(c.log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	seen, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	go func() {
		for range sizes {
			// A terminal of this process has no size.
		}
	}()
	done := make(chan struct{})
	if in != nil {
		go func() {
			_, _ = io.Copy(log, in)
			close(done)
		}()
	}
	if out == nil {
		<-done
		return nil
	}
	seen, err = c.follow(out, seen, done)
	if err == nil {
		_, err = c.copyFrom(out, seen)
	}
	return err
}

// PortForward implements portforward.PortForwarder: a pod's network is that of this machine.
// Each direction ends by itself, as in a container runtime.
func (p *pods) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}
