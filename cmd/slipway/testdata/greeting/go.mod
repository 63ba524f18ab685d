module git.example.com/team/greeting

go 1.26.8
