package build

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	control "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/spearheadcloud/spearhead/model"
)

// What is read of BuildKit's API, and what its answers say of an image.
const (
	solveMethod  = "/moby.buildkit.v1.Control/Solve"
	digestKey    = "containerimage.digest"
	imageIDKey   = "containerimage.config.digest"
	namesAttr    = "name"
	mobyExporter = "moby"
	imageKind    = "image"
)

// ServeBuilder implements dockerapi.Builds: it serves BuildKit's API on a
// client's connection until that ends. Every call passes to the account's
// builder as it is; only the result of a Solve is taken on its way back.
func (s *Service) ServeBuilder(ctx context.Context, a model.Account, ready func() (net.Conn, error)) error {
	b, err := s.connect(ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	conn, err := ready()
	if err != nil {
		return err
	}
	p := &passage{service: s, builder: b}
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(p.handle),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
	)
	defer context.AfterFunc(ctx, server.Stop)()
	only := newOnly(conn)
	err = server.Serve(only) // ends when the client has gone
	server.Stop()
	if errors.Is(err, errOnlyEnded) {
		return nil
	}
	return err
}

// passage is one client's way to its builder.
type passage struct {
	service *Service
	builder *builder
}

var bothWays = grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

func (p *passage) handle(_ any, client grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(client)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	ctx, cancel := context.WithCancel(client.Context())
	defer cancel()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, md.Copy())
	}
	onward, err := p.builder.conn.NewStream(ctx, &bothWays, method, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return err
	}
	if method == solveMethod {
		return p.solve(ctx, client, onward)
	}
	return relay(client, onward)
}

// relay copies messages both ways until the builder has ended the call.
func relay(client grpc.ServerStream, onward grpc.ClientStream) error {
	go func() { // ends with the call's context
		for {
			var m frame
			if err := client.RecvMsg(&m); err != nil {
				if errors.Is(err, io.EOF) {
					onward.CloseSend()
				}
				return
			}
			if onward.SendMsg(&m) != nil {
				return
			}
		}
	}()
	if head, err := onward.Header(); err == nil {
		client.SetHeader(head)
	}
	for {
		var m frame
		if err := onward.RecvMsg(&m); err != nil {
			client.SetTrailer(onward.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := client.SendMsg(&m); err != nil {
			return err
		}
	}
}

// solve passes a Solve on. Images for the data center become the account's
// before the client hears that they are done.
func (p *passage) solve(ctx context.Context, client grpc.ServerStream, onward grpc.ClientStream) error {
	var asked, answered frame
	if err := client.RecvMsg(&asked); err != nil {
		return err
	}
	var request control.SolveRequest
	if err := proto.Unmarshal(asked.data, &request); err != nil {
		return status.Error(codes.InvalidArgument, "the request to solve cannot be read")
	}
	wanted, names, err := wantsImage(&request)
	if err != nil {
		return toStatus(err)
	}
	if wanted && !pushes(&request) {
		if err := asked.set(withoutAttestations(&request)); err != nil {
			return toStatus(err)
		}
	}
	if err := onward.SendMsg(&asked); err != nil {
		return err
	}
	onward.CloseSend()
	if err := onward.RecvMsg(&answered); err != nil {
		client.SetTrailer(onward.Trailer())
		return err
	}
	if wanted {
		var response control.SolveResponse
		if err := proto.Unmarshal(answered.data, &response); err != nil {
			return status.Error(codes.Internal, "the builder's answer cannot be read")
		}
		if digest := response.ExporterResponse[digestKey]; digest != "" {
			img, err := p.service.adopt(ctx, p.builder, digest, names)
			if err != nil {
				return toStatus(err)
			}
			// Clients call the image by one of these. Its digest is of use to
			// them where it is at a registry.
			response.ExporterResponse[imageIDKey] = img.ID
			if !pushes(&request) {
				response.ExporterResponse[digestKey] = img.ID
			}
			if err := answered.set(&response); err != nil {
				return toStatus(err)
			}
		}
	}
	return client.SendMsg(&answered)
}

// wantsImage reports whether a request makes an image of the data center, and
// its names.
func wantsImage(r *control.SolveRequest) (wanted bool, names []string, err error) {
	take := func(kind string, attrs map[string]string) error {
		if kind != mobyExporter && kind != imageKind {
			return nil
		}
		if store := attrs["store"]; store == "false" {
			return nil // only pushed
		}
		wanted = true
		for name := range strings.SplitSeq(attrs[namesAttr], ",") {
			if name == "" {
				continue
			}
			name, err := checkName(name)
			if err != nil {
				return err
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return nil
	}
	if len(r.Exporters) == 0 {
		err = take(r.ExporterDeprecated, r.ExporterAttrsDeprecated)
		return wanted, names, err
	}
	for _, e := range r.Exporters {
		if err := take(e.Type, e.Attrs); err != nil {
			return false, nil, err
		}
	}
	return wanted, names, nil
}

// pushes reports whether a result also goes to a registry.
func pushes(r *control.SolveRequest) bool {
	if r.ExporterAttrsDeprecated["push"] != "" && r.ExporterAttrsDeprecated["push"] != "false" {
		return true
	}
	return slices.ContainsFunc(r.Exporters, func(e *control.Exporter) bool { return e.Attrs["push"] != "" && e.Attrs["push"] != "false" })
}

// withoutAttestations takes out of a request what would describe the build
// beside the image: nobody would ever see it where only the image is kept.
func withoutAttestations(r *control.SolveRequest) *control.SolveRequest {
	maps.DeleteFunc(r.FrontendAttrs, func(name, _ string) bool { return strings.HasPrefix(name, "attest:") })
	return r
}

// toStatus is an error in gRPC's form.
func toStatus(err error) error {
	code := codes.Unknown
	switch model.KindOf(err) {
	case model.KindInvalid:
		code = codes.InvalidArgument
	case model.KindNotFound:
		code = codes.NotFound
	case model.KindUnavailable:
		code = codes.Unavailable
	case model.KindExhausted:
		code = codes.ResourceExhausted
	}
	return status.Error(code, model.UserText(err))
}

// frame is a message as it is on the wire.
type frame struct{ data []byte }

// set makes the frame hold a message.
func (f *frame) set(m proto.Message) (err error) {
	f.data, err = proto.Marshal(m)
	return err
}

// rawCodec leaves messages as they are.
type rawCodec struct{}

// Name is that of the codec whose messages these are.
func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*frame)
	if !ok {
		return nil, errors.New("not a frame")
	}
	return mem.BufferSlice{mem.SliceBuffer(m.data)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*frame)
	if !ok {
		return errors.New("not a frame")
	}
	m.data = data.Materialize()
	return nil
}

// only is a listener of one connection.
type only struct {
	conn  net.Conn
	taken sync.Once
	ended chan struct{}
}

var errOnlyEnded = errors.New("the connection has ended")

func newOnly(conn net.Conn) *only {
	l := &only{ended: make(chan struct{})}
	l.conn = &noticed{Conn: conn, closed: sync.OnceFunc(func() { close(l.ended) })}
	return l
}

func (l *only) Accept() (conn net.Conn, err error) {
	l.taken.Do(func() { conn = l.conn })
	if conn != nil {
		return conn, nil
	}
	<-l.ended
	return nil, errOnlyEnded
}

func (l *only) Close() error   { return l.conn.Close() }
func (l *only) Addr() net.Addr { return l.conn.LocalAddr() }

// noticed tells of its end.
type noticed struct {
	net.Conn
	closed func()
}

func (n *noticed) Close() error {
	n.closed()
	return n.Conn.Close()
}
