// Command seedimage pushes a small image to a registry, so that a new rack has something to
// run: busybox, or the files of a folder.
//
//	seedimage HOST:PORT/NAME:TAG [FOLDER]
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: seedimage HOST:PORT/NAME:TAG [FOLDER]")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "seedimage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, ref string, folders []string) error {
	config := seedimage.Config{Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if len(folders) == 1 {
		return seedimage.Push(ctx, ref, folders[0], config)
	}
	folder, err := os.MkdirTemp("", "busybox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil { // it becomes the image's root
		return err
	}
	if err := seedimage.Busybox(ctx, folder); err != nil {
		return err
	}
	return seedimage.Push(ctx, ref, folder, config)
}
