// Package bed is what whole-system tests stand on: a rack with a registry beside it and a
// docker client, accounts, terminals, and a look at what a rack leaves on the machine.
//
// A package's TestMain calls [Setting.Main], which builds the program once and brings one
// rack up, which most tests share; those that break things put them right again. At the end
// the rack goes, and the machine must be as it was before. All of it needs root; without it
// the tests are skipped.
package bed
