package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// How often a followed log is looked at.
const pollEvery = 50 * time.Millisecond

// maxPods bounds the folders that are made; nothing removes them while the process runs.
const maxPods = 10_000

// pods are the containers of all pods. A pod is a folder, and a container a log in it.
type pods struct {
	root string
	lock sync.Mutex
	// How many are open of a kind, a slash and the pod; kinds are exec, attach, portforward, logs.
	open map[string]int
	made map[string]bool
}

// container is one of a pod, whether or not that has one of this name: the API server has looked.
type container struct {
	folder string
	log    string
}

func newPods(folder string) (*pods, error) {
	root, err := filepath.Abs(folder)
	return &pods{root: root, open: map[string]int{}, made: map[string]bool{}}, err
}

// container makes the pod's folder when it is asked for first.
func (p *pods) container(namespace, pod, name string) (container, error) {
	folder := filepath.Join(p.root, namespace, pod)
	found := container{folder, filepath.Join(folder, "."+name+".log")}
	p.lock.Lock()
	defer p.lock.Unlock()
	if !p.made[folder] && len(p.made) >= maxPods {
		return found, errors.New("too many pods")
	}
	p.made[folder] = true
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return found, err
	}
	log, err := os.OpenFile(found.log, os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return found, err
	}
	return found, log.Close()
}

// opened counts a stream of a request until the returned function is called.
func (p *pods) opened(kind string, r *http.Request) func() {
	stream := kind + "/" + r.PathValue("pod")
	p.count(stream, 1)
	return func() { p.count(stream, -1) }
}

func (p *pods) count(stream string, by int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.open[stream] += by
	if p.open[stream] == 0 {
		delete(p.open, stream)
	}
}

// run runs a command in the pod's folder. It has the log's path in $LOG.
func (c container) run(cmd []string, in io.Reader, out, err io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize) error {
	process := exec.Command(cmd[0], cmd[1:]...)
	process.Dir = c.folder
	process.Env = append(os.Environ(), "HOME="+c.folder, "LOG="+c.log)
	if tty {
		return exitCode(onTerminal(process, in, out, sizes))
	}
	if out != nil {
		process.Stdout = out
	}
	if err != nil {
		process.Stderr = err
	}
	if in == nil {
		return exitCode(process.Run())
	}
	// Not process.Stdin: Wait would wait for the client's end of stdin too.
	pipe, failed := process.StdinPipe()
	if failed != nil {
		return failed
	}
	if failed := process.Start(); failed != nil {
		return failed
	}
	go func() {
		_, _ = io.Copy(pipe, in)
		_ = pipe.Close()
	}()
	return exitCode(process.Wait())
}

func onTerminal(process *exec.Cmd, in io.Reader, out io.Writer, sizes <-chan remotecommand.TerminalSize) error {
	terminal, err := pty.Start(process)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range sizes {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() {
			_, _ = io.Copy(terminal, in)
			// The client has gone or typed its last: what a terminal that is closed does.
			_, _ = terminal.Write([]byte{4})
		}()
	}
	if out != nil {
		// Ends with an error when the process has closed the other side.
		_, _ = io.Copy(out, terminal)
	}
	return process.Wait()
}

// exitCode is the error by which cri-streaming tells the client of a command's exit code.
func exitCode(err error) error {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	case errors.As(err, &exit):
		return utilexec.CodeExitError{Err: err, Code: 137}
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return utilexec.CodeExitError{Err: err, Code: 127}
	}
	return err
}

// follow writes the log from this offset to out, and goes on until done when it is to follow.
// It returns the offset that it has come to.
func (c container) follow(out io.Writer, offset int64, done <-chan struct{}) (int64, error) {
	for {
		copied, err := c.copyFrom(out, offset)
		offset += copied
		if err != nil {
			return offset, err
		}
		select {
		case <-done:
			return offset, nil
		case <-time.After(pollEvery):
		}
	}
}

func (c container) copyFrom(out io.Writer, offset int64) (int64, error) {
	log, err := os.Open(c.log)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(out, log)
}
