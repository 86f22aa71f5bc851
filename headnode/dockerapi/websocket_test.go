package dockerapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestAttachByWebSocket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version string
		tty     bool
		kind    websocket.MessageType
	}{{"/v1.27", false, websocket.MessageText}, {"/v1.28", false, websocket.MessageBinary}, {"", true, websocket.MessageBinary}} {
		f := newFake()
		s := f.serve(t)
		tty := map[bool]string{true: "true", false: "false"}[c.tty]
		id := made(t, s, `{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"Tty":`+tty+`}`)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		at := strings.Replace(s.URL, "http", "ws", 1) + c.version + "/containers/" + id + "/attach/ws?stream=1&stdin=1&stdout=1"
		socket, _, err := websocket.Dial(ctx, at, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {s.URL}}})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.CloseNow()
		request(t, s, "POST", "/containers/"+id+"/start", "")
		want := strings.Repeat("there and back ", 3000)
		if err := socket.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got := ""
		socket.SetReadLimit(1 << 20)
		for len(got) < len(want) {
			kind, message, err := socket.Read(ctx)
			if err != nil || kind != c.kind {
				t.Fatalf("%+v: message of kind %v after %d bytes: %v", c, kind, len(got), err)
			}
			got += string(message)
		}
		if got != want {
			t.Errorf("%+v: other bytes came back", c)
		}
		request(t, s, "POST", "/containers/"+id+"/stop", "")
		if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Errorf("%+v: the container ended, the socket did not in good order: %v", c, err)
		}
	}
}

func TestBadWebSocketsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	path := "/containers/" + id + "/attach/ws?stream=1"
	if status, body := request(t, s, "GET", path, ""); status != 400 {
		t.Errorf("no upgrade: %d %s", status, body)
	}
	if status, body := request(t, s, "GET", path+"&detachKeys=ctrl-%C3%A4", ""); status != 400 || !strings.Contains(body, "Invalid detach keys") {
		t.Errorf("keys: %d %s", status, body)
	}
	if status, body := request(t, s, "GET", "/containers/none/attach/ws", ""); status != 404 {
		t.Errorf("no container: %d %s", status, body)
	}
	if status, _ := request(t, s, "GET", path, "", "Origin", "https://elsewhere.example"); status != 403 {
		t.Errorf("from a web page: %d", status)
	}
}

func TestDetachKeys(t *testing.T) {
	t.Parallel()
	for keys, ok := range map[string]bool{
		"": true, "ctrl-p,ctrl-q": true, "a": true, "ctrl-@,ctrl-[,ctrl-]": true, "ctrl-\\,x,_": true,
		"ctrl-": false, "ctrl-1": false, "ab": false, "a,,b": false, "ctrl-pp": false, "ctrl-ä": false, "ä": false,
	} {
		if err := checkDetachKeys(keys); (err == nil) != ok {
			t.Errorf("%q: %v", keys, err)
		}
	}
}
