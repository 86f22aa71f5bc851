package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config says what machine to boot.
type Config struct {
	Image  string // the folder that scripts/metal has made
	Dir    string // of the machine's own files; it exists and is empty
	Name   string // the machine's host name, and the file of its console
	Memory int    // in MiB
	Number int    // from 1; machines that share a wire need different ones
	// Wire and Peer are sockets of this machine, where what the second card sends and gets
	// arrives at this machine and at the other one on its wire; "" leads nowhere.
	Wire, Peer string
	// Disks are the sizes of its further disks in bytes: /dev/vdb and so on, whose serial
	// numbers are disk-0 and so on.
	Disks []int64
}

// Machine is one that runs. Its methods may be called by several goroutines at once, but for
// those that end or restart it.
type Machine struct {
	config Config
	qemu   *exec.Cmd
	ended  chan struct{} // closed when qemu has ended
	ports  map[int]int   // of the machine, to those of this machine's loopback
	qmp    *monitor

	mu    sync.Mutex
	shell *ssh.Client // guarded by mu

	sockets sync.WaitGroup // what carries to the machine's sockets
	doors   []net.Listener // guarded by mu
}

// forwarded are the machine's ports that this machine reaches: SSH's and Docker's.
var forwarded = []int{22, 2376}

// bootLimit is how long a machine may take to come up: about 20 s where nothing else runs, and
// minutes where much does.
const bootLimit = 25 * time.Minute

// Boot starts a machine and returns when it takes commands. The caller closes it.
func Boot(ctx context.Context, config Config) (*Machine, error) {
	m := &Machine{config: config, ended: make(chan struct{}), ports: map[int]int{}}
	if err := m.makeDisks(ctx); err != nil {
		return nil, err
	}
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.Wait(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) path(name string) string { return filepath.Join(m.config.Dir, name) }

// makeDisks makes the first disk as what differs from the image's, and the others empty.
func (m *Machine) makeDisks(ctx context.Context) error {
	base := filepath.Join(m.config.Image, "disk.qcow2")
	calls := [][]string{{"create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, m.path("root.qcow2")}}
	for i, size := range m.config.Disks {
		calls = append(calls, []string{"create", "-q", "-f", "qcow2", m.path(diskName(i) + ".qcow2"), fmt.Sprint(size)})
	}
	for _, args := range calls {
		if out, err := exec.CommandContext(ctx, "qemu-img", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot make a disk: qemu-img %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

func diskName(i int) string { return fmt.Sprintf("disk-%d", i) }

func (m *Machine) start(ctx context.Context) error {
	output, err := os.Create(m.path("qemu.log"))
	if err != nil {
		return err
	}
	defer output.Close()
	m.qemu = exec.Command("qemu-system-x86_64", m.arguments()...)
	m.qemu.Stdout, m.qemu.Stderr = output, output
	if err := m.qemu.Start(); err != nil {
		close(m.ended)
		return fmt.Errorf("cannot start qemu: %w", err)
	}
	go func() {
		defer close(m.ended)
		_ = m.qemu.Wait() // that it has ended is all that matters; why is in qemu.log
	}()
	if m.qmp, err = dialMonitor(ctx, m.path("qmp"), m.ended); err != nil {
		said, _ := os.ReadFile(m.path("qemu.log"))
		return fmt.Errorf("cannot reach qemu: %w: %s", err, said)
	}
	return m.forward(ctx)
}

// arguments are qemu's. The second card is the machines' own network; the third one that
// containers can have: its addresses are 10.0.3.0/24, and 10.0.3.2 leads out.
func (m *Machine) arguments() []string {
	args := []string{
		"-accel", accelerator(), "-cpu", "max,la57=off", "-smp", "1", "-m", fmt.Sprint(m.config.Memory),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-kernel", filepath.Join(m.config.Image, "vmlinuz"), "-initrd", filepath.Join(m.config.Image, "initrd.img"),
		"-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off quiet systemd.show_status=0 systemd.hostname=" + m.config.Name,
		"-serial", "file:" + m.path("console.log"), "-qmp", "unix:" + m.path("qmp") + ",server=on,wait=off",
		"-device", "virtio-rng-pci",
		"-drive", "if=none,id=root,cache=unsafe,file=" + m.path("root.qcow2"), "-device", "virtio-blk-pci,drive=root",
		"-netdev", "user,id=way,hostname=" + m.config.Name, "-device", "virtio-net-pci,netdev=way",
		"-netdev", m.wire(), "-device", fmt.Sprintf("virtio-net-pci,netdev=wire,mac=52:54:00:00:02:%02x", m.config.Number),
		"-netdev", "user,id=lan,net=10.0.3.0/24", "-device", fmt.Sprintf("virtio-net-pci,netdev=lan,mac=52:54:00:00:03:%02x", m.config.Number),
	}
	for i := range m.config.Disks {
		name := diskName(i)
		args = append(args,
			"-blockdev", "driver=qcow2,node-name="+name+",discard=unmap,cache.no-flush=on,file.driver=file,file.filename="+m.path(name+".qcow2"),
			"-device", "virtio-blk-pci,id=dev-"+name+",serial="+name+",drive="+name)
	}
	return args
}

// wire is what the second card is connected to.
func (m *Machine) wire() string {
	if m.config.Wire == "" {
		return "user,id=wire,restrict=on"
	}
	return "dgram,id=wire,local.type=unix,local.path=" + m.config.Wire + ",remote.type=unix,remote.path=" + m.config.Peer
}

// accelerator is the processor's help with machines, if it has it, or QEMU's own translation,
// with room for as much of it as a whole system needs.
func accelerator() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil || !strings.Contains(string(info), "vmx") && !strings.Contains(string(info), "svm") {
		return "tcg,tb-size=512"
	}
	file.Close()
	return "kvm"
}

// forward opens the machine's ports on ports of this machine's loopback that nobody has.
// Between finding one and QEMU's taking it somebody else may; then it takes another.
func (m *Machine) forward(ctx context.Context) error {
	for _, port := range forwarded {
		var err error
		for range 20 {
			var free int
			if free, err = freePort(); err != nil {
				return err
			}
			var said string
			said, err = m.qmp.human(ctx, fmt.Sprintf("hostfwd_add way tcp:127.0.0.1:%d-:%d", free, port))
			if err == nil && strings.TrimSpace(said) == "" {
				m.ports[port] = free
				break
			}
			err = errors.Join(err, errors.New(strings.TrimSpace(said)))
		}
		if err != nil {
			return fmt.Errorf("cannot open port %d of the machine: %w", port, err)
		}
	}
	return nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Port is the HOST:PORT on this machine that leads to one of the machine's forwarded ports.
func (m *Machine) Port(port int) string { return fmt.Sprintf("127.0.0.1:%d", m.ports[port]) }

// Console is what the machine has printed on its console since it was switched on.
func (m *Machine) Console() string {
	text, _ := os.ReadFile(m.path("console.log"))
	return string(text)
}

// Close switches the machine off, as by pulling its plug, and waits for its end.
func (m *Machine) Close() error {
	m.closeSockets()
	m.hangUp()
	if m.qmp != nil {
		m.qmp.close()
	}
	if m.qemu == nil || m.qemu.Process == nil {
		return nil
	}
	err := m.qemu.Process.Kill()
	<-m.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
