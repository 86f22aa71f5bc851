package seedimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Busybox fills folder, which exists and is empty, with a small system: this machine's
// static busybox with a link for each of its commands.
func Busybox(ctx context.Context, folder string) error {
	if err := busybox(ctx, folder); err != nil {
		return fmt.Errorf("cannot make a busybox system: %w", err)
	}
	return nil
}

func busybox(ctx context.Context, folder string) error {
	program, err := findBusybox(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"bin", "etc", "root", "proc", "sys", "dev", "var", "tmp"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(folder, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	if err := copyProgram(program, filepath.Join(folder, "bin", "busybox")); err != nil {
		return err
	}
	commands, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return err
	}
	for _, command := range strings.Fields(string(commands)) {
		if command == "busybox" {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(folder, "bin", command)); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"group":  "root:x:0:\nnogroup:x:65534:\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// findBusybox finds a busybox that needs no libraries, which most systems' own do.
func findBusybox(ctx context.Context) (string, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return "", errors.New("there is no busybox on this machine: install the package busybox-static")
	}
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if err == nil && !strings.Contains(string(out), "not a dynamic executable") && !strings.Contains(string(out), "statically linked") {
		return "", errors.New("this machine's busybox needs libraries: install the package busybox-static")
	}
	return program, nil
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
