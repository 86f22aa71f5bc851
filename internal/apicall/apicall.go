package apicall

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds what is decoded of an answer, in bytes: several times what a
// list of all containers of a large data center has.
const maxAnswer = 512 << 20

// Client makes requests. All fields are required. Its methods may be called by
// many goroutines at once.
type Client struct {
	// Base is the beginning of each request's URL.
	Base string
	HTTP *http.Client
	// Unreached is the error of a request that got no answer.
	Unreached func(error) error
	// Refused is the error of an answer with a status of 400 or more.
	Refused func(status int, body *json.Decoder) error
}

// Ask is Call for an answer of a type.
func Ask[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.Call(ctx, method, path, in, &out)
	return out, err
}

// Call makes a request, whose body is in unless that is nil, and decodes the
// answer into out unless that is nil.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("cannot encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.Send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := decoder(resp).Decode(out); err != nil {
		return fmt.Errorf("cannot read the head's answer: %w", err)
	}
	return nil
}

// Send makes a request with a body, which may be nil, and returns its answer if
// it is a success.
func (c *Client) Send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, fmt.Errorf("cannot make the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, c.Unreached(err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.Refused(resp.StatusCode, decoder(resp))
}

func decoder(resp *http.Response) *json.Decoder {
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
}
