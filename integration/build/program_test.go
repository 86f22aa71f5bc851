package build

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// A web server, and how it is built in a Debian that debootstrap made.
const (
	service = `#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(8080)};
	if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16)) {
		perror("cannot listen");
		return 1;
	}
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		char request[1024];
		if (read(connection, request, sizeof request) > 0)
			dprintf(connection, "HTTP/1.0 200 OK\r\n\r\nversion %s for user %d", VERSION, getuid());
		close(connection);
	}
}
`
	serviceDockerfile = `FROM %s AS build
ARG VERSION
COPY service.c /src/
RUN gcc -O2 -Wall -Werror -static -DVERSION="\"$VERSION\"" -o /service /src/service.c && ! gcc /absent.c
FROM scratch
COPY --from=build /service /bin/service
EXPOSE 8080
USER 1234
ENTRYPOINT ["/bin/service"]
`
)

// debian imports the archive of a small Debian with a C compiler.
func debian(t *testing.T, b *bed.Bed) (name string) {
	t.Helper()
	printed, err := exec.Command("../../scripts/debian", "where").Output()
	if err != nil {
		t.Fatal(err)
	}
	archive := strings.TrimSpace(string(printed))
	if _, err := os.Stat(archive); err != nil {
		t.Skip("needs a Debian with gcc: make it with scripts/debian, where Debian's mirror can be reached")
	}
	name = "debian-gcc:12"
	b.Docker(t, "import", archive, name)
	t.Cleanup(func() { b.Client(afterTest(t), "rmi", "-f", name).Run() })
	return name
}

// TestARealProgramIsBuiltRunPushedAndPulled takes a service from its source to a
// container on another image's digest, by each way to build.
func TestARealProgramIsBuiltRunPushedAndPulled(t *testing.T) {
	all := builders(t)
	base := debian(t, all[0].bed)
	registry := private(t, all...)
	for i, b := range all {
		t.Run(b.name, func(t *testing.T) {
			version := fmt.Sprint("1.", i) // no two builds are the same
			dir := folder(t, map[string]string{"service.c": service, "Dockerfile": fmt.Sprintf(serviceDockerfile, base)})
			name := registry + "/team/" + b.name + ":1"
			b.built(t, name, dir, "--build-arg", "VERSION="+version)
			want := "version " + version + " for user 1234"
			b.serves(t, name, want)
			b.bed.Docker(t, "push", name)
			digest := b.bed.Docker(t, "inspect", "-f", "{{index .RepoDigests 0}}", name)
			b.bed.Docker(t, "rmi", name)
			b.refused(t, "No such image", "inspect", "--type", "image", digest)
			b.bed.Docker(t, "pull", digest)
			b.serves(t, digest, want)
			b.bed.Docker(t, "rmi", digest)
		})
	}
}

// serves runs the service and asks it.
func (b builder) serves(t *testing.T, image, want string) {
	t.Helper()
	id := b.bed.Run(t, "-p", "8080", image)
	defer b.bed.Remove(t, id)
	url := "http://" + b.bed.AddressOf(t, id) + ":8080/"
	client := http.Client{Timeout: 5 * time.Second}
	bed.Eventually(t, func() error {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if got, err := io.ReadAll(answer.Body); err != nil || string(got) != want {
			return fmt.Errorf("it answers %q, %v; want %q", got, err, want)
		}
		return nil
	})
}
