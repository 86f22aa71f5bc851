package containers

import "math/rand/v2"

// randomName makes a name of a trait and a person who found something out.
func randomName() string {
	return traits[rand.IntN(len(traits))] + "_" + people[rand.IntN(len(people))]
}

// The words are short, kind, and fit for a host name.
var traits = [...]string{
	"able", "agile", "amber", "ample", "apt", "astute", "balmy", "blithe", "bold", "brave", "breezy", "bright",
	"brisk", "calm", "candid", "cheery", "civil", "clear", "clever", "cosy", "crisp", "dapper", "daring", "deft",
	"eager", "early", "earnest", "fair", "fleet", "fond", "frank", "free", "fresh", "gallant", "gentle", "glad",
	"golden", "grand", "hale", "handy", "hardy", "hearty", "honest", "humble", "jaunty", "jolly", "joyful", "just",
	"keen", "kind", "limber", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "mild", "modest",
	"neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "prompt", "proud", "quick", "quiet", "rapid",
	"ready", "robust", "rosy", "sage", "serene", "sharp", "silver", "sleek", "smart", "snug", "sober", "solid",
	"sound", "spry", "steady", "sterling", "stout", "sunny", "sure", "swift", "tidy", "tranquil", "true", "trusty",
	"upbeat", "valiant", "vivid", "warm", "wily", "wise", "witty", "zesty",
}

var people = [...]string{
	"abel", "agnesi", "alhazen", "ampere", "anning", "archimedes", "babbage", "banach", "bernoulli", "bohr", "boole",
	"brahe", "bunsen", "cannon", "cantor", "carson", "carver", "cauchy", "cavendish", "celsius", "chandra", "chen",
	"copernicus", "coulomb", "curie", "dalton", "darwin", "descartes", "dirac", "doppler", "earhart", "edison",
	"einstein", "elion", "eratosthenes", "euclid", "euler", "faraday", "fermat", "fermi", "feynman", "fibonacci",
	"fourier", "franklin", "galileo", "galois", "gauss", "germain", "gibbs", "goedel", "hamilton", "harvey",
	"heisenberg", "herschel", "hertz", "hilbert", "hippocrates", "hodgkin", "hooke", "hopper", "hubble", "huygens",
	"hypatia", "jacobi", "jansky", "joule", "kelvin", "kepler", "khayyam", "kirchhoff", "kovalevskaya", "lagrange",
	"lamarr", "laplace", "lavoisier", "leavitt", "leibniz", "linnaeus", "lovelace", "maxwell", "mcclintock",
	"meitner", "mendel", "mendeleev", "mitchell", "moebius", "montgolfier", "morse", "nash", "newton", "nightingale",
	"noether", "ohm", "papin", "pascal", "pasteur", "pauli", "planck", "poincare", "ptolemy", "pythagoras", "raman",
	"ramanujan", "riemann", "roentgen", "rubin", "rutherford", "sagan", "salk", "shannon", "somerville", "tesla",
	"thales", "torricelli", "turing", "volta", "wallace", "watt", "weyl", "wheeler", "wiles", "wright", "wu", "yalow",
}
