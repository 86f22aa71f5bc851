package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// FuzzRequest feeds the decoder of requests: it must end, with a value or
// with an error whose kind a caller can act on.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"container":{"id":"x","nics":[{"address":"10.0.0.1/24"}]}}`))
	f.Add([]byte(`{}{}`))
	f.Add([]byte(`{"container":`))
	f.Add([]byte(`[1,2`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r CreateRequest
		err := decodeBody(bytes.NewReader(body), 1<<10, &r)
		if err == nil && len(body) > 2<<10 && len(bytes.TrimSpace(body)) > 2<<10 {
			t.Errorf("%d bytes passed a limit of 1024", len(body))
		}
		if err != nil && !model.IsKind(err, model.KindInvalid) && !model.IsKind(err, model.KindTooLarge) {
			t.Errorf("error %v is of kind %s", err, model.KindOf(err))
		}
	})
}

// FuzzLines feeds the decoder of streams: lines come out as they went in, and
// one that was cut off is never taken for whole.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"epoch\":\"a\"}\n{\"entries\":[{\"seq\":1}]}\n"))
	f.Add([]byte("{}"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(stream), 16)
		var joined []byte
		for {
			line, err := readLine(r)
			if err != nil {
				if err == io.EOF && !bytes.Equal(joined, stream) {
					t.Errorf("an orderly end after %q of %q", joined, stream)
				}
				return
			}
			joined = append(joined, line...)
			var l journalLine
			_ = json.Unmarshal(line, &l) // must not panic
		}
	})
}

func TestLineThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	_, err := readLine(bufio.NewReader(strings.NewReader(strings.Repeat("x", maxLine+100))))
	if !model.IsKind(err, model.KindTooLarge) {
		t.Errorf("got %v, want too-large", err)
	}
}

func TestUnknownKindsBecomeInternal(t *testing.T) {
	t.Parallel()
	err := (&ErrorBody{Kind: "of-the-future", Text: "no"}).Err()
	if !model.IsKind(err, model.KindInternal) || err.Error() != "no" {
		t.Errorf("got %v of kind %s", err, model.KindOf(err))
	}
}
