// Package synth makes up a history of sign-ins, from a seed, in which it is known what is an attack.
package synth
