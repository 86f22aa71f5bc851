package build

import (
	"context"
	"net"
	"time"

	control "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// maxMessage bounds a message to or from a builder, as BuildKit does.
const maxMessage = 16 << 20

// builder is a connection to an account's builder.
type builder struct {
	account model.Account
	nodeID  string
	agent   wire.Agent
	conn    *grpc.ClientConn
	control control.ControlClient
}

// connect starts the account's builder, if it does not run, and connects to it.
func (s *Service) connect(ctx context.Context, a model.Account) (*builder, error) {
	pkg, err := defaultPackage(s.Store.View())
	if err != nil {
		return nil, err
	}
	home, err := s.home(ctx, a, pkg)
	if err != nil {
		return nil, err
	}
	return s.dial(ctx, a, pkg, home)
}

// visit connects to the account's builder where its cache is; nil if it has
// none.
func (s *Service) visit(ctx context.Context, a model.Account) (*builder, error) {
	v := s.Store.View()
	home, ok := v.Builder(a.ID)
	if !ok {
		return nil, nil
	}
	pkg, err := defaultPackage(v)
	if err != nil {
		return nil, err
	}
	return s.dial(ctx, a, pkg, home)
}

func (s *Service) dial(ctx context.Context, a model.Account, pkg *model.Package, home model.Builder) (*builder, error) {
	agent := s.Agents.Agent(home.NodeID)
	stream, err := agent.Builder(ctx, request(s.Store.View(), a, pkg, home))
	if err != nil {
		return nil, err
	}
	// The connection is made already; when it breaks, what hangs on it ends.
	streams := make(chan net.Conn, 1)
	streams <- streamConn{stream}
	conn, err := grpc.NewClient("passthrough:///builder",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			select {
			case c := <-streams:
				return c, nil
			default:
				return nil, errBuilderGone
			}
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	)
	if err != nil {
		stream.Close()
		return nil, model.WrapError(model.KindInternal, err, "cannot speak to the builder")
	}
	conn.Connect()
	return &builder{account: a, nodeID: home.NodeID, agent: agent, conn: conn, control: control.NewControlClient(conn)}, nil
}

var errBuilderGone = model.Errorf(model.KindUnavailable, "the connection to the builder is broken; build again")

// Close ends the connection, and with it what was asked for on it.
func (b *builder) Close() error { return b.conn.Close() }

// streamConn is a stream to a node as a net.Conn. Deadlines are not kept:
// gRPC sets them only while it connects.
type streamConn struct{ wire.Stream }

type noAddr struct{}

func (noAddr) Network() string { return "spearhead" }
func (noAddr) String() string  { return "builder" }

func (streamConn) LocalAddr() net.Addr              { return noAddr{} }
func (streamConn) RemoteAddr() net.Addr             { return noAddr{} }
func (streamConn) SetDeadline(time.Time) error      { return nil }
func (streamConn) SetReadDeadline(time.Time) error  { return nil }
func (streamConn) SetWriteDeadline(time.Time) error { return nil }
