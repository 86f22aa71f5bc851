// Command spearhead-buildkitd carries the builds of one account out, on one
// node. It is BuildKit's daemon put together for that: one worker, which runs
// the steps of builds by runc in the network namespace that it was started in.
//
// It asks its node for everything outside of that namespace, over a Unix
// socket: images first among those that the account has, then at registries,
// which the node speaks to by its operator's rules. What a build makes is kept
// until the node has taken it.
//
// It is a module of its own, because BuildKit's daemon stands on far more
// libraries than the rest of Spearhead.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // messages of BuildKit encode themselves
)

// listenerFD is the descriptor of the socket to serve, which the agent has made:
// it can connect before the builder has started.
const listenerFD = 3

// flags are how an agent starts a builder.
type flags struct {
	root       string // of the cache; survives the builder
	run        string // of sockets
	cgroup     string // below which steps run
	resolvConf string
	nameserver string
	netns      string
	hide       folders
	keepBytes  int64
}

func main() {
	var f flags
	flag.StringVar(&f.root, "root", "", "folder of the cache")
	flag.StringVar(&f.run, "run", "", "folder of node.sock, at which the node answers")
	flag.StringVar(&f.cgroup, "cgroup", "", "control group below which the steps of builds run")
	flag.StringVar(&f.resolvConf, "resolv-conf", "", "file to see as /etc/resolv.conf")
	flag.StringVar(&f.nameserver, "nameserver", "", "name server in the network namespace, which the steps of builds ask")
	flag.StringVar(&f.netns, "netns", "", "network namespace to run in")
	flag.Var(&f.hide, "hide", "folder below which all mounts are let go of but those that the builder's own folders lie on; may be repeated")
	flag.Int64Var(&f.keepBytes, "keep-bytes", 10<<30, "size that the cache is kept below")
	flag.Parse()
	if err := run(f); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(f flags) error {
	if f.netns != "" {
		return enter(f.netns)
	}
	if err := ownMounts(f); err != nil {
		return err
	}
	if err := withoutSync(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	controller, err := newController(ctx, f)
	if err != nil {
		return fmt.Errorf("cannot start the builder: %w", err)
	}
	defer controller.Close()
	listener, err := net.FileListener(os.NewFile(listenerFD, "api.sock"))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(16<<20),
		grpc.UnaryInterceptor(noteCutShort(f.run)),
	)
	controller.Register(server)
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

// enter starts this program anew in a network namespace. A namespace belongs
// to a thread until the program is replaced, which leaves it to all.
func enter(path string) error {
	runtime.LockOSThread()
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot open the network namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter the network namespace: %w", err)
	}
	return syscall.Exec("/proc/self/exe", append(os.Args, "-netns="), os.Environ())
}
