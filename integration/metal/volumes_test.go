package metal

import (
	"context"
	"strings"
	"testing"
)

// volume makes a volume that goes with the test.
func (s *site) volume(t *testing.T, name string, options ...string) string {
	t.Helper()
	s.removeLater(t, name)
	s.Docker(t, append(append([]string{"volume", "create"}, options...), name)...)
	return name
}

func (s *site) removeLater(t *testing.T, name string) {
	t.Cleanup(func() {
		if out, err := s.Client(cleanContext(t), "volume", "rm", "-f", name).CombinedOutput(); err != nil {
			t.Errorf("docker volume rm -f %s: %v: %s", name, err, out)
		}
	})
}

// cleanContext is for what is done when a test has ended, and with it its own.
func cleanContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// once runs a command in a container with a volume at /data, and returns what it printed.
func (s *site) once(t *testing.T, volume, command string) string {
	t.Helper()
	return s.Docker(t, "run", "--rm", "-v", volume+":/data", s.Image, "sh", "-c", command)
}

func TestVolumesAreDatasetsWithTheirSizes(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "sized", "-o", "size=32m")
	id := s.Run(t, "-v", name+":/data", s.Image, "sleep", "100000")
	fill := func(mib string) string {
		return s.Docker(t, "exec", id, "sh", "-c", "dd if=/dev/urandom of=/data/big bs=1M count="+mib+" conv=fsync 2>&1; true")
	}
	if got := fill("64"); !full(got) {
		t.Errorf("64 MiB into 32: %s", got)
	}
	if got := s.once(t, s.volume(t, "free"), "dd if=/dev/urandom of=/data/big bs=1M count=40 2>&1"); !strings.Contains(got, "40+0 records out") {
		t.Errorf("another volume: %s", got)
	}
	s.root(t, "spearhead volume resize "+user+"/"+name+" 128m")
	if got := fill("64"); !strings.Contains(got, "64+0 records out") {
		t.Errorf("after it has grown: %s", got)
	}
	if got := s.root(t, "zfs get -Hp -o value refquota $(zfs list -H -o name -r bay/spearhead/volumes | tail -n +2) | sort -n | tail -1"); got != "134217728" {
		t.Errorf("the largest quota of a volume is %s", got)
	}
}

func TestSnapshotsAndClones(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "kept", "-o", "size=64m")
	ref := user + "/" + name
	for _, day := range []string{"monday", "tuesday"} {
		s.once(t, name, "echo "+day+" > /data/file")
		s.root(t, "spearhead volume snapshot "+ref+" "+day)
	}
	s.removeLater(t, "test")
	s.root(t, "spearhead volume clone "+ref+" test --snapshot monday")
	s.root(t, "spearhead volume restore "+ref+" monday")
	if got := s.once(t, name, "cat /data/file"); got != "monday" {
		t.Errorf("after the restore it holds %q", got)
	}
	s.Docker(t, "volume", "rm", name)
	if got := s.once(t, "test", "cat /data/file"); got != "monday" {
		t.Errorf("without its origin the clone holds %q", got)
	}
}

func TestStreams(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "sent", "-o", "size=64m")
	ref := user + "/" + name
	s.once(t, name, "dd if=/dev/urandom of=/data/big bs=1M count=8 2>/dev/null; echo first > /data/file")
	sum := s.once(t, name, "md5sum /data/big")
	s.root(t, "spearhead volume snapshot "+ref+" base && spearhead volume send "+ref+" --snapshot base -o /root/stream")
	s.once(t, name, "echo second > /data/file")
	s.root(t, "spearhead volume send "+ref+" --base base -o /root/more")
	s.removeLater(t, "received")
	s.root(t, "spearhead volume receive "+user+"/received -i /root/stream --size 64m && spearhead volume receive "+user+"/received -i /root/more --changes")
	if got := s.once(t, "received", "cat /data/file; md5sum /data/big"); got != "second\n"+sum {
		t.Errorf("the copy holds %q, of %q", got, sum)
	}
	// Half of a stream, of any length, makes no volume.
	done, err := s.machine.Try(t.Context(), "head -c 5000000 /root/stream > /root/half; spearhead volume receive "+user+"/half -i /root/half", nil)
	if err != nil || done.Code == 0 {
		t.Errorf("half of a stream: %v, %+v", err, done)
	}
	if got := s.Docker(t, "volume", "ls", "-q"); strings.Contains(got, "half") {
		t.Errorf("half of a stream made a volume: %s", got)
	}
	s.root(t, "rm /root/stream /root/more /root/half")
}
