package wire

import "io"

// uploadPiece is how much of an upload becomes one chunk of its request (RFC
// 9112, 7.1): what fills the client's write buffer together with the chunk's
// size and the ends of its lines, and so a few whole records of TLS.
const uploadPiece = streamBuffer - len("ffff\r\n") - len("\r\n")

// upload is a request's body that is sent in large pieces. By itself net/http
// sends each part as it was read, which of a body that came by TLS is a record
// at most. A piece that is not full waits for its rest: uploads are files, of
// whose beginnings nobody makes use.
type upload struct{ io.Reader }

// WriteTo implements io.WriterTo. What was read before an error is sent.
func (u upload) WriteTo(w io.Writer) (sent int64, err error) {
	piece := make([]byte, uploadPiece)
	for err == nil {
		have := 0
		for have < len(piece) && err == nil {
			var n int
			n, err = u.Read(piece[have:])
			have += n
		}
		n, failed := w.Write(piece[:have])
		sent += int64(n)
		if failed != nil {
			return sent, failed
		}
	}
	if err == io.EOF {
		err = nil
	}
	return sent, err
}
