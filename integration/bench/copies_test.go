package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// copies measures docker cp of one large file, into a container that has never run and out of
// it again, by the docker client's whole command. What comes out is thrown away.
func (s *stage) copies(ctx context.Context, rounds, mib int) (*table, error) {
	file := filepath.Join(s.work, "large")
	if err := randomFile(file, int64(mib)<<20); err != nil {
		return nil, err
	}
	measured, err := s.turns(rounds, func(e *engine, into *table) error {
		id, err := e.create(ctx, "none", sleeper...)
		if err != nil {
			return err
		}
		for _, copy := range []struct {
			what string
			args []string
		}{
			{"docker cp, in", []string{file, id + ":/large"}},
			{"docker cp, out", []string{id + ":/large", "-"}},
		} {
			took, err := e.cp(ctx, int64(mib)<<20, copy.args...)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", e.name, copy.what, err)
			}
			into.add(copy.what, "MB/s", e.name, float64(int64(mib)<<20)/1e6/took.Seconds())
		}
		return e.remove(ctx, id)
	})
	if err != nil {
		return nil, err
	}
	return measured, os.Remove(file)
}

// cp runs docker cp. An archive that it writes must hold a file of that size.
func (e *engine) cp(ctx context.Context, size int64, args ...string) (took time.Duration, err error) {
	command := exec.CommandContext(ctx, "docker", append([]string{"cp", "--quiet"}, args...)...)
	command.Env = e.env
	archive, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return 0, err
	}
	came, readErr := io.CopyBuffer(writerOnly{io.Discard}, archive, make([]byte, 1<<20))
	if err := command.Wait(); err != nil {
		return 0, err
	}
	if readErr != nil {
		return 0, readErr
	}
	if args[len(args)-1] == "-" && came < size {
		return 0, fmt.Errorf("%d bytes came, fewer than the file's %d", came, size)
	}
	return time.Since(begin), nil
}

// writerOnly hides other methods, so that a copy uses its big buffer.
type writerOnly struct{ io.Writer }

// randomFile makes a file of what cannot be compressed and has no holes.
func randomFile(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.CopyN(file, rand.NewChaCha8([32]byte{1}), size); err != nil {
		return err
	}
	return file.Sync()
}

// BenchmarkCopies copies 1 GiB.
func BenchmarkCopies(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.copies(ctx, 3, 1024) })
}
