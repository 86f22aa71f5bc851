package compat

import "net/url"

// object returns the object at key of d, or nil: the functions here do nothing
// to a nil object.
func object(d doc, key string) doc {
	o, _ := d[key].(doc)
	return o
}

// ensure returns the object at key of d and makes it if it is missing.
func ensure(d doc, key string) doc {
	o, ok := d[key].(doc)
	if !ok {
		o = doc{}
		d[key] = o
	}
	return o
}

func drop(d doc, keys ...string) {
	for _, key := range keys {
		delete(d, key)
	}
}

// dropEmpty drops a key whose value is the empty string.
func dropEmpty(d doc, key string) {
	if d[key] == "" {
		delete(d, key)
	}
}

func dropKeys(keys ...string) func(doc) {
	return func(d doc) { drop(d, keys...) }
}

func dropParameters(names ...string) func(url.Values) {
	return func(q url.Values) {
		for _, name := range names {
			q.Del(name)
		}
	}
}

// setParameters makes switches be on.
func setParameters(names ...string) func(url.Values) {
	return func(q url.Values) {
		for _, name := range names {
			q.Set(name, "1")
		}
	}
}

func setDefault(d doc, key string, value any) {
	if d == nil {
		return
	}
	if _, ok := d[key]; !ok {
		d[key] = value
	}
}

// moveKey moves what is at key from one object to another that lacks it.
func moveKey(from, to doc, key string) {
	value, ok := from[key]
	if !ok || to == nil {
		return
	}
	delete(from, key)
	setDefault(to, key, value)
}

// each calls f for each object in the list or the object at key of d.
func each(d doc, key string, f func(name string, o doc)) {
	switch value := d[key].(type) {
	case []any:
		for _, element := range value {
			if o, ok := element.(doc); ok {
				f("", o)
			}
		}
	case doc:
		for name, element := range value {
			if o, ok := element.(doc); ok {
				f(name, o)
			}
		}
	}
}

// eachOf makes f apply to each object in the list or the object at a key.
func eachOf(key string, f func(doc)) func(doc) {
	return func(d doc) {
		each(d, key, func(_ string, o doc) { f(o) })
	}
}
