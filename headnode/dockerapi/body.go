package dockerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// Bounds on a JSON body.
const (
	maxBody  = 1 << 20
	maxDepth = 32
)

// decode reads the request's JSON body, raises it to the newest version and
// decodes it into v. It returns the raised body.
func (c *call) decode(v any) ([]byte, error) {
	if !c.version.Has(compat.AnyContentType) {
		if err := checkContentType(c.r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
	}
	body, err := c.readBody()
	if err != nil {
		return nil, err
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	raised, err := compat.RaiseBody(c.route, c.version, body)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "invalid JSON in the request body")
	}
	return raised, unmarshal(raised, v)
}

func (c *call) readBody() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, model.Errorf(model.KindTooLarge, "request body is too large: at most %d bytes are allowed", maxBody)
	}
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "cannot read the request body")
	}
	c.r.Body = http.NoBody // so that it is known to be read
	return body, nil
}

func checkContentType(header string) error {
	kind, _, err := mime.ParseMediaType(header)
	if err != nil || kind != "application/json" {
		return model.Errorf(model.KindInvalid, "unsupported Content-Type header (%.64s): must be 'application/json'", header)
	}
	return nil
}

// unmarshal decodes one JSON value and names the field that is at fault.
func unmarshal(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		return model.Errorf(model.KindInvalid, "invalid value for %s: %s is expected, not %.64s", fieldName(typed.Field), expected(typed.Type), found(typed.Value))
	}
	return model.WrapError(model.KindInvalid, err, "invalid value for %s: %.200s", faultyField(body, v, ""), err)
}

// fieldName is a field as clients know it: the names of structs that Docker's
// types embed are no part of the JSON.
func fieldName(field string) string {
	field = strings.TrimPrefix(field, "Config.")
	field = strings.Replace(field, "HostConfig.Resources.", "HostConfig.", 1)
	if field == "" {
		return "the request body"
	}
	return field
}

// expected names what a field takes, as people who write JSON know it.
func expected(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return "a whole number"
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "an object"
	}
}

// found names what was there, which encoding/json tells by "string", or by
// "number 1.5".
func found(value string) string {
	switch kind, number, _ := strings.Cut(value, " "); {
	case number != "":
		return number
	case kind == "array":
		return "a list"
	case kind == "object":
		return "an object"
	case kind == "bool":
		return "true or false"
	default:
		return "a " + kind
	}
}

// faultyField finds which key of an object cannot be decoded when the decoder
// does not say it: it decodes each key alone.
func faultyField(body []byte, v any, within string) string {
	keys := map[string]json.RawMessage{}
	if json.Unmarshal(body, &keys) != nil {
		return fieldName(within)
	}
	for key, value := range keys {
		alone, err := json.Marshal(map[string]json.RawMessage{key: value})
		if err != nil {
			continue
		}
		if json.Unmarshal(alone, v) != nil {
			path := key
			if inner := faultyInner(key, value, v); inner != "" {
				path += "." + inner
			}
			return path
		}
	}
	return fieldName(within)
}

// faultyInner looks one level deeper, below the key of an object.
func faultyInner(key string, value json.RawMessage, v any) string {
	inner := map[string]json.RawMessage{}
	if json.Unmarshal(value, &inner) != nil {
		return ""
	}
	for name, element := range inner {
		alone, err := json.Marshal(map[string]map[string]json.RawMessage{key: {name: element}})
		if err == nil && json.Unmarshal(alone, v) != nil {
			return name
		}
	}
	return ""
}

// checkJSON refuses what json.Unmarshal lets pass: an empty body, a value
// after the first, deep nesting, and a key that is there twice, so that no two
// readers of one request can understand it differently.
func checkJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := checkValue(d, 0, false); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return model.Errorf(model.KindInvalid, "invalid JSON: the request body ends too early")
		}
		return model.Errorf(model.KindInvalid, "invalid JSON in the request body: %.200s", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return model.Errorf(model.KindInvalid, "invalid JSON: unexpected content after the request body")
	}
	return nil
}

// checkValue reads one value. exact tells that the keys of an object are a
// user's own and differ by case; else they are names of fields, which do not.
func checkValue(d *json.Decoder, depth int, exact bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		inner := exact
		if open == '{' {
			if inner, err = checkKey(d, seen, exact); err != nil {
				return err
			}
		}
		if err := checkValue(d, depth+1, inner); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// checkKey reads a key of an object and reports whether the keys of the object at it,
// if there is one, are a user's own.
func checkKey(d *json.Decoder, seen map[string]bool, exact bool) (bool, error) {
	token, err := d.Token()
	if err != nil {
		return false, err
	}
	key, ok := token.(string)
	if !ok {
		return false, fmt.Errorf("a key is not a string")
	}
	folded := fold(key)
	if !exact {
		key = folded
	}
	if seen[key] {
		return false, fmt.Errorf("the key %.64q is there twice", token)
	}
	seen[key] = true
	return !exact && userKeys(folded), nil
}

// fold maps keys that encoding/json takes for the same field to one string.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, key)
}

// userKeys reports whether the object at a key of the API holds keys that a user
// chooses.
func userKeys(key string) bool {
	switch key {
	case "labels", "annotations", "sysctls", "tmpfs", "storageopt", "volumes", "exposedports",
		"portbindings", "options", "driveropts", "endpointsconfig", "config":
		return true
	}
	return false
}
