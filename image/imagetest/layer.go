package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Entry is one entry of a layer. Size, and Typeflag where Content or a trailing
// slash says enough, are filled in.
type Entry struct {
	tar.Header
	Content []byte
}

// File is a regular file.
func File(name, content string, mode int64) Entry {
	return Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode}, Content: []byte(content)}
}

// Dir is a directory.
func Dir(name string, mode int64) Entry {
	return Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}}
}

// Symlink is a symbolic link.
func Symlink(name, target string) Entry {
	return Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}

// Hardlink is a hard link.
func Hardlink(name, target string) Entry {
	return Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}}
}

// Tar makes an archive that is the same each time.
func Tar(tb testing.TB, entries ...Entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := e.Header
		header.Size = int64(len(e.Content))
		if header.ModTime.IsZero() {
			header.ModTime = time.Unix(1_700_000_000, 0)
		}
		if err := w.WriteHeader(&header); err != nil {
			tb.Fatalf("cannot write header of %.64q: %v", header.Name, err)
		}
		if _, err := w.Write(e.Content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// Layer is a layer as it goes to a registry.
type Layer struct {
	MediaType string
	Blob      []byte
	DiffID    digest.Digest
}

// Plain is a layer that is not compressed.
func Plain(archive []byte) Layer {
	return Layer{ocispec.MediaTypeImageLayer, archive, digest.FromBytes(archive)}
}

// Gzip is a layer compressed with gzip.
func Gzip(archive []byte) Layer { return gzipped(archive, gzip.DefaultCompression) }

// QuickGzip is Gzip for large archives in tests: it packs worse and takes a
// small part of the time.
func QuickGzip(archive []byte) Layer { return gzipped(archive, gzip.BestSpeed) }

func gzipped(archive []byte, level int) Layer {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // only for levels that there are not
	}
	w.Write(archive)
	w.Close()
	return Layer{ocispec.MediaTypeImageLayerGzip, out.Bytes(), digest.FromBytes(archive)}
}

// Zstd is a layer compressed with zstd.
func Zstd(archive []byte) Layer {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err) // only for options that do not fit together
	}
	return Layer{ocispec.MediaTypeImageLayerZstd, w.EncodeAll(archive, nil), digest.FromBytes(archive)}
}

// Config is the configuration of an image of this machine's platform.
func Config(config ocispec.ImageConfig) ocispec.Image {
	created := time.Unix(1_700_000_000, 0).UTC()
	return ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   config,
	}
}

// busyboxPath is where Debian's busybox-static puts its program.
const busyboxPath = "/bin/busybox"

// BusyboxImage makes a small image with a shell and the usual tools. The test
// is skipped when there is no static busybox.
func BusyboxImage(tb testing.TB) ([]Layer, ocispec.Image) {
	tb.Helper()
	program, err := os.ReadFile(busyboxPath)
	if err != nil {
		tb.Skip("needs busybox: apt install busybox-static")
	}
	entries := []Entry{
		Dir("bin/", 0o755), Dir("etc/", 0o755), Dir("root/", 0o700), Dir("home/", 0o755), Dir("var/", 0o755), Dir("var/www/", 0o755),
		Dir("proc/", 0o555), Dir("sys/", 0o555), Dir("dev/", 0o755), Dir("tmp/", 0o1777), Dir("run/", 0o755),
		File("bin/busybox", string(program), 0o755),
		File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\nuser:x:1000:1000::/home:/bin/sh\n", 0o644),
		File("etc/group", "root:x:0:\nnogroup:x:65534:\nuser:x:1000:\nstaff:x:50:user\n", 0o644),
	}
	for _, tool := range busyboxTools {
		entries = append(entries, Symlink("bin/"+tool, "busybox"))
	}
	entries = append(entries, Symlink("usr", "."), Symlink("sbin", "bin"))
	config := Config(ocispec.ImageConfig{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd: []string{"sh"},
	})
	config.History = []ocispec.History{{CreatedBy: "ADD busybox.tar /", Created: config.Created}, {CreatedBy: `CMD ["sh"]`, Created: config.Created, EmptyLayer: true}}
	return []Layer{Gzip(Tar(tb, entries...))}, config
}

var busyboxTools = []string{
	"ash", "awk", "base64", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dirname", "dmesg", "du", "echo", "egrep",
	"env", "expr", "false", "find", "free", "grep", "gunzip", "gzip", "head", "hostname", "httpd", "id", "ifconfig", "ip", "kill", "killall",
	"ln", "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "more", "mount", "mv", "nc", "netstat", "nohup", "nslookup", "od", "pidof",
	"ping", "printf", "ps", "pwd", "readlink", "realpath", "rm", "rmdir", "route", "sed", "seq", "sh", "sha256sum", "sleep", "sort", "stat",
	"stty", "su", "sync", "tail", "tar", "tee", "test", "time", "timeout", "top", "touch", "tr", "traceroute", "true", "tty", "umount", "uname",
	"uniq", "uptime", "usleep", "vi", "wc", "wget", "which", "whoami", "xargs", "yes",
}
