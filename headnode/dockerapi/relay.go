package dockerapi

import "io"

// A relay has a few small buffers: a stream from a node comes in parts of 16
// KiB, those of TLS, and thousands of streams may lie idle.
const (
	relayBuffer  = 16 << 10
	relayBuffers = 4
)

// relay copies a stream and reads on while it writes, so that the work of
// either side does not wait for the other's. It calls idle each time that all
// that has come is written, and end, which must make reads fail, when it cannot
// write. It returns when from is read no more, with what ended it: nil at the
// end of the stream or if nobody takes it any more.
func relay(to io.Writer, from io.Reader, idle, end func()) error {
	free, full := make(chan []byte, relayBuffers), make(chan []byte, relayBuffers)
	for range relayBuffers {
		free <- make([]byte, relayBuffer)
	}
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

// readParts fills buffers until the stream ends.
func readParts(from io.Reader, free <-chan []byte, full chan<- []byte) error {
	for buffer := range free {
		n, err := from.Read(buffer)
		full <- buffer[:n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
