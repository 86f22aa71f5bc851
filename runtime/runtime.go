package runtime

import (
	"context"
	"io"
	"syscall"

	"github.com/spearheadcloud/spearhead/model"
)

var _ = io.EOF

type Runtime struct{ cfg Config }

// New returns a Runtime that does nothing until it is opened.
func New(cfg Config) *Runtime                     { return &Runtime{cfg: cfg} }
func (r *Runtime) Open(ctx context.Context) error { return nil }
func (r *Runtime) Close() error                   { return nil }
func (r *Runtime) Info() Info                     { return Info{} }
func (r *Runtime) Register(ctx context.Context, id string, spec *model.ContainerSpec) error {
	return nil
}
func (r *Runtime) Start(ctx context.Context, req StartRequest) (Process, error) {
	return Process{}, nil
}
func (r *Runtime) Signal(ctx context.Context, id string, sig syscall.Signal) error { return nil }
func (r *Runtime) Exits(ctx context.Context) (<-chan Exit, error)                  { return nil, nil }
func (r *Runtime) AckExit(ctx context.Context, id, run string) error               { return nil }
func (r *Runtime) Running(ctx context.Context) ([]Process, error)                  { return nil, nil }
func (r *Runtime) Clean(ctx context.Context, id string) error                      { return nil }
func (r *Runtime) Unregister(ctx context.Context, id string) error                 { return nil }
func (r *Runtime) Attach(ctx context.Context, id string, o AttachOptions) (Stream, error) {
	return nil, nil
}
func (r *Runtime) Resize(ctx context.Context, id string, rows, cols uint16) error { return nil }
func (r *Runtime) Logs(ctx context.Context, id string, o LogOptions) (io.ReadCloser, error) {
	return nil, nil
}
func (r *Runtime) Top(ctx context.Context, id, psArgs string) (titles []string, rows [][]string, err error) {
	return nil, nil, nil
}
func (r *Runtime) ExecStart(ctx context.Context, container string, spec ExecSpec) (Stream, error) {
	return nil, nil
}
func (r *Runtime) ExecResize(ctx context.Context, execID string, rows, cols uint16) error { return nil }
func (r *Runtime) ExecState(ctx context.Context, execID string) (ExecState, error) {
	return ExecState{}, nil
}
