package wire

import "io"

// uploadPiece is how much of an upload becomes one chunk of its request (RFC
// 9112, 7.1): what fills the client's write buffer together with the chunk's
// size and the ends of its lines, and so a few whole records of TLS.
const uploadPiece = streamBuffer - len("ffff\r\n") - len("\r\n")

// upload is a request's body that is read, and sent, in larger pieces than
// net/http's own 32 KiB. Each is sent at once.
type upload struct{ io.Reader }

// WriteTo implements io.WriterTo.
func (u upload) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{u.Reader}, make([]byte, uploadPiece))
}
