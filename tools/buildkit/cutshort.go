package main

import (
	"context"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
)

// cutShortFile tells the node, from the folder of sockets, that a build was cut
// short. agent/build has the same name.
const cutShortFile = "cut-short"

const solveMethod = "/moby.buildkit.v1.Control/Solve"

// noteCutShort leaves a note when a build ends because its client has gone.
// BuildKit (v0.33) does not let go of what the step that ran then has made, so
// its record could not be pruned as long as this builder lives: the node starts
// another one for the next build.
func noteCutShort(folder string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		answer, err := handle(ctx, request)
		if info.FullMethod == solveMethod && ctx.Err() != nil {
			os.WriteFile(filepath.Join(folder, cutShortFile), nil, 0o600) // without it, the record stays a while
		}
		return answer, err
	}
}
