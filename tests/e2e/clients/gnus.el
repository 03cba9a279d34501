;;; gnus.el --- one visit of Gnus (scripts.py) -*- lexical-binding: t -*-
;; emacs --batch -Q -l gnus.el: its user works in the group buffer and in the summary of the INBOX.

(require 'gnus)
(require 'gnus-start)
(require 'gnus-sum)
(require 'gnutls)

(defvar task (json-parse-string (read-from-minibuffer "") :object-type 'alist :false-object nil))
(defvar place (alist-get 'place task))

(defun subject-of (part)
  "The subject of PART's message in this visit."
  (format "%s-%d" part (alist-get 'number task)))

(defun number-of (part)
  "The number of PART's message in the summary that is shown."
  (mail-header-number (seq-find (lambda (header) (equal (mail-header-subject header) (subject-of part)))
                                gnus-newsgroup-headers)))

(let ((authinfo (expand-file-name "authinfo" (getenv "HOME"))))
  (with-temp-file authinfo
    (insert (format "machine %s port %s login %s password %s\n" (alist-get 'host place) (alist-get 'port place)
                    (alist-get 'user place) (alist-get 'password place))))
  (setq auth-sources (list authinfo)))

(make-directory user-emacs-directory t) ; where it writes down whom it has met
(setq gnutls-trustfiles (list (alist-get 'ca_file place))
      gnutls-verify-error t
      gnus-home-directory (file-name-as-directory (getenv "HOME"))
      gnus-startup-file (expand-file-name "newsrc" gnus-home-directory)
      gnus-init-file nil
      gnus-verbose 4
      gnus-inhibit-startup-message t
      gnus-save-newsrc-file t
      gnus-read-newsrc-file nil
      gnus-interactive-exit nil
      gnus-novice-user nil
      gnus-expert-user t
      gnus-large-newsgroup nil
      gnus-subscribe-newsgroup-method #'gnus-subscribe-alphabetically
      gnus-check-new-newsgroups t
      gnus-agent nil
      message-directory gnus-home-directory
      gnus-directory gnus-home-directory
      gnus-select-method
      `(nnimap ,(alist-get 'host place)
               (nnimap-server-port ,(alist-get 'port place))
               (nnimap-user ,(alist-get 'user place))
               (nnimap-stream ,(if (alist-get 'starttls place) 'starttls 'tls))))

(defun visit ()
  "Gives what its user has seen."
  (gnus)
  (let ((mailboxes (vconcat (seq-remove (lambda (group) (string-match-p ":" group)) ; those of other servers
                                        (hash-table-keys gnus-active-hashtb))))
        body)
    (set-buffer gnus-group-buffer)
    (gnus-group-jump-to-group "INBOX")
    (gnus-group-select-group t)
    (gnus-summary-select-article t t nil (number-of "read"))
    (setq body (with-current-buffer gnus-original-article-buffer (base64-encode-string (buffer-string) t)))
    (gnus-summary-goto-subject (number-of "flag"))
    (gnus-summary-mark-article nil gnus-ticked-mark)
    (gnus-summary-goto-subject (number-of "delete"))
    (gnus-summary-delete-article)
    (gnus-summary-exit)
    (with-temp-buffer
      (set-buffer-multibyte nil)
      (insert (base64-decode-string (alist-get 'message task)))
      (while (search-backward "\r\n" nil t)
        (replace-match "\n"))
      (gnus-request-accept-article "Drafts" nil t t))
    (set-buffer gnus-group-buffer)
    (gnus-group-exit)
    (json-serialize `((mailboxes . ,mailboxes) (body . ,body) (arrived . [])))))

(princ (visit))
(terpri)
