package store_test

import (
	"fmt"
	"testing"

	"holdfast/internal/directory"
	"holdfast/internal/store/storetest"
)

// TestPlansPostgres: PostgreSQL finds by an index what is asked most often, right after an import too,
// before it has looked at the tables by itself.
func TestPlansPostgres(t *testing.T) {
	db := storetest.NewPlace(t, "postgres").Open(t)
	a, _ := storetest.Account(t, db)
	people := make([]directory.NewUser, 5000)
	for i := range people {
		people[i] = directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: "Somebody"}
	}
	if err := db.ImportUsers(t.Context(), a.ID, people, func(int) {}, storetest.By()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		t.Run(mode, func(t *testing.T) { db.CheckPlans(t, mode, a.ID) })
	}
}
