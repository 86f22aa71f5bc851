package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
)

// maxChallenges is how often a request is made again with an answer to the
// registry's challenge.
const maxChallenges = 3

// get asks for a document that has at most maxAnswer bytes and answers the
// registry's challenges. Errors need an explanation.
func (e endpoint) get(ctx context.Context, u *url.URL) (body []byte, header http.Header, err error) {
	var answers []*http.Response
	for {
		response, err := e.ask(ctx, u)
		if err != nil {
			return nil, nil, err
		}
		answers = append(answers, response)
		if response.StatusCode == http.StatusUnauthorized && len(answers) <= maxChallenges {
			response.Body.Close()
			err := e.host.Authorizer.AddResponses(ctx, answers)
			if errdefs.IsNotImplemented(err) {
				err = docker.ErrInvalidAuthorization
			}
			if err != nil {
				return nil, nil, fmt.Errorf("cannot answer the registry's challenge: %w", err)
			}
			continue
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, nil, remoteerrors.NewUnexpectedStatusErr(response)
		}
		body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read the registry's answer: %w", err)
		}
		if len(body) > maxAnswer {
			return nil, nil, errors.New("the registry's answer does not end")
		}
		return body, response.Header, nil
	}
}

func (e endpoint) ask(ctx context.Context, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the registry: %w", err)
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "application/json")
	if err := e.host.Authorizer.Authorize(ctx, r); err != nil {
		return nil, fmt.Errorf("cannot ask the registry: %w", err)
	}
	response, err := e.host.Client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the registry: %w", err)
	}
	return response, nil
}
