package join

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
)

const (
	// DefaultPort is that of heads' public endpoints.
	DefaultPort = "2376"
	// maxAnswer bounds what is read of a head's answer.
	maxAnswer = 1 << 20
	// callTimeout bounds one request.
	callTimeout = 30 * time.Second
	// pollInterval is between two questions whether the machine was approved,
	// or whether a head that was not there is.
	pollInterval = 2 * time.Second
)

// Client asks one head, whose data center it has recognized. Close lets go of
// its connections.
type Client struct {
	base string
	ca   []byte
	http *http.Client
}

// Reach finds the head at the address (host or host:port) and checks by the
// token's fingerprint that it is one of the data center that the token is for.
// Nothing secret has been sent when it returns.
func Reach(ctx context.Context, address string, token model.TokenText) (*Client, error) {
	base := "https://" + withPort(address)
	caPEM, err := fetchCA(ctx, base)
	if err != nil {
		return nil, err
	}
	found, err := pki.Fingerprint(caPEM)
	if err != nil {
		return nil, model.WrapError(model.KindUnavailable, err, "%s does not answer as a head does; is that the address of a head's public endpoint (port %s)?", address, DefaultPort)
	}
	if found != token.Fingerprint {
		return nil, model.Errorf(model.KindForbidden, "%s belongs to another data center than the token, or somebody is in between: the fingerprint of its CA is %s, the token's is %s. Nothing was sent to it", address, found, token.Fingerprint)
	}
	conf, err := pki.EndpointClient(caPEM)
	if err != nil {
		return nil, err
	}
	return &Client{base: base, ca: caPEM, http: httpClient(conf)}, nil
}

// CA is the data center's certificate, PEM.
func (c *Client) CA() []byte { return c.ca }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(address, DefaultPort)
}

func httpClient(conf *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       callTimeout,
	}
}

// fetchCA reads what the endpoint says its CA is. It is believed only after
// its fingerprint was compared, so that the connection need not be.
func fetchCA(ctx context.Context, base string) ([]byte, error) {
	client := httpClient(&tls.Config{InsecureSkipVerify: true})
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ca.pem", nil)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "this is no address of a head; write HOST or HOST:PORT")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(err)
	}
	return data, nil
}

func unreachable(err error) error {
	return model.WrapError(model.KindUnavailable, err, "cannot reach the head; is it running, and is its port %s open to this machine?", DefaultPort)
}

// Ask sends a request once. An error of KindUnavailable may go away.
func (c *Client) Ask(ctx context.Context, r Request) (Answer, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return Answer{}, fmt.Errorf("cannot encode the request to join: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+Path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("cannot make the request to join: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, unreachable(err)
	}
	defer resp.Body.Close()
	decoder := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		var refusal Refusal
		if err := decoder.Decode(&refusal); err != nil || refusal.Text == "" {
			return Answer{}, model.WrapError(model.KindUnavailable, errors.New(resp.Status), "the head answered in a way that this version does not understand; are both of the same release?")
		}
		return Answer{}, &model.Error{Kind: refusal.Kind, Text: refusal.Text}
	}
	var answer Answer
	if err := decoder.Decode(&answer); err != nil {
		return Answer{}, unreachable(err)
	}
	return answer, nil
}

// Await asks until the machine is a member or is refused. pending is called
// once, when an operator has to approve it first; unavailability is waited
// out from then on.
func (c *Client) Await(ctx context.Context, r Request, pending func(Answer)) (Answer, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	told := false
	for attempt := 0; ; attempt++ {
		answer, err := c.Ask(ctx, r)
		switch {
		case model.IsKind(err, model.KindUnavailable) && (told || attempt < 5) && ctx.Err() == nil:
		case err != nil || !answer.Pending:
			return answer, err
		case !told:
			told = true
			pending(answer)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}
