package dockerapi

import "io"

// A relay has a few buffers, each for several of the parts in which TLS
// brings a stream. It makes as many as its writer is behind: thousands of streams
// may lie idle.
const (
	relayBuffer  = 64 << 10
	relayBuffers = 4
)

// relay copies a stream and reads on while it writes, so that the work of
// either side does not wait for the other's. It calls idle each time that all
// that has come is written, and end, which must make reads fail, when it cannot
// write. It returns when from is read no more, with what ended it: nil at the
// end of the stream or if nobody takes it any more.
func relay(to io.Writer, from io.Reader, idle, end func()) error {
	free, full := make(chan []byte, relayBuffers), make(chan []byte, relayBuffers)
	var failed error
	go func() {
		defer close(full)
		failed = readParts(from, free, full)
	}()
	for part := range full {
		if _, err := to.Write(part); err != nil {
			end()
			for part := range full {
				free <- part[:cap(part)]
			}
			return nil //nolint:nilerr // there is nobody to tell
		}
		if len(full) == 0 {
			idle()
		}
		free <- part[:cap(part)]
	}
	return failed
}

// readParts fills buffers until the stream ends. It makes them as they are
// needed.
func readParts(from io.Reader, free <-chan []byte, full chan<- []byte) error {
	made := 0
	for {
		var buffer []byte
		if len(free) == 0 && made < relayBuffers {
			buffer = make([]byte, relayBuffer)
			made++
		} else {
			buffer = <-free
		}
		n, err := from.Read(buffer)
		full <- buffer[:n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
