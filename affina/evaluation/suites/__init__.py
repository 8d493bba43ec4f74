"""The items of tasks that need no data of the user's, a file each, written for this project in English and Italian."""
